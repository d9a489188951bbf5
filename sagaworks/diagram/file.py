"""A `.bpmn` file, read as if a stranger had sent it."""

from pathlib import Path
from typing import Final

from lxml.etree import XMLParser, XMLSyntaxError, fromstring
from lxml.etree import _Element as Node

from sagaworks.finding import NotADiagramError, refused

BPMN: Final = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
ZEEBE: Final = "{http://camunda.org/schema/zeebe/1.0}"
CAMUNDA_7: Final = "http://camunda.org/schema/1.0/bpmn"
DTD: Final = b"<!DOCTYPE"

LARGEST: Final = 5_000_000
"""Bytes. The engine's own limit for a deployment is 4 MB; nobody draws more."""

MOST: Final = 50_000
"""XML elements, those of the layout too. A saga of six steps has about 250."""


def read_xml(path: Path, content: bytes | None = None) -> Node:
    """Return the root of a BPMN file; reads no other file and no network, whatever it says.

    Args:
        path: the file; with `content`, only its name in messages.
        content: the file's, where it comes from elsewhere.

    Raises:
        ContractError: naming file, line and what is wrong.
    """
    if content is None:
        content = _read(path)
    parser = XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = fromstring(content, parser)
    except XMLSyntaxError as error:
        if DTD in content:
            raise _has_dtd(content, path) from None
        message = error.msg.partition(", ")[0]
        raise refused("not-a-diagram", path, error.lineno or 1, f"not XML: {message}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise _has_dtd(content, path)
    _refuse_other_notations(root, path)
    return root


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        why = f"can't be read: {error.strerror}"
        raise refused("not-a-diagram", path, 0, why) from None
    if len(content) > LARGEST:
        raise refused("too-large", path, 0, f"larger than {LARGEST // 1_000_000} MB")
    return content


def _refuse_other_notations(root: Node, path: Path) -> None:
    if root.tag != f"{BPMN}definitions":
        raise refused("not-a-diagram", path, root.sourceline, "not a BPMN 2.0 diagram")
    if root.xpath("count(//*)") > MOST:
        what = f"more than {MOST:,} XML elements"
        raise refused("too-large", path, 0, what, "divide the saga by call activities")
    # A diagram of Camunda 8 may keep the namespace of Camunda 7 from its conversion.
    ours = ZEEBE.strip("{}") in root.nsmap.values()
    if not ours and CAMUNDA_7 in root.nsmap.values():
        what = "a diagram for Camunda 7, whose engine is another"
        remedy = "draw it anew as a Camunda 8 diagram, or have Camunda's migration tools convert it"
        raise refused("camunda-7", path, root.sourceline, what, remedy)


def _has_dtd(content: bytes, path: Path) -> NotADiagramError:
    line = content.partition(DTD)[0].count(b"\n") + 1
    return refused("dtd", path, line, "has a DTD", "a diagram needs none, remove it")
