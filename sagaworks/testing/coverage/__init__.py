"""How much of the diagrams a test run has gone through: elements, flows, compensation paths.

Definitions, each for one diagram:

- an **element** is covered when it completed once; an end event when it was reached, since one that
  throws an error never completes. The process itself isn't counted.
- a **path** is a sequence flow; it is covered when a token took it.
- a **compensation path** is a throw event together with one activity that it can undo: the one it
  names, or, if it names none, each in its scope that has a handler; with a sub-process, each in it.
  It is covered when the activity's handler completed because of that very throw event. A throw
  event that finds nothing to undo passes through and covers no compensation path.
"""
