"""The real engine in a small child process: its jars, the process, what it is told."""
