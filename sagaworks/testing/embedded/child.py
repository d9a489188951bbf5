"""The engine's process: lines to its standard input, answers and records from its output."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Final

from sagaworks.engine.java import Java, clean_environment
from sagaworks.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sagaworks.testing.embedded.archive import ClassArchive

# Measured: starts fastest, and stays below 350 MB with the records of hundreds of sagas.
_JAVA_OPTIONS: Final = (
    "-Xmx192m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    "-Dfile.encoding=UTF-8",
    "-Dslf4j.internal.verbosity=ERROR",
    "-Dio.netty.tryReflectionSetAccessible=false",
)
_ANSWER_SECONDS: Final = 60.0
_END_SECONDS: Final = 30.0  # of which all but a moment is for the archive, once
_LAST_WORDS: Final = 3
_OUT_OF_MEMORY: Final = 3
_NOISE: Final = ("WARNING: ",)

OnRecord = Callable[[dict[str, Any]], None]
OnStream = Callable[[str], None]


class Child:
    """One Java process, which holds one engine at a time.

    Attributes:
        pid: of the process.
    """

    def __init__(self, java: Java, class_path: str, archive: ClassArchive | None = None) -> None:
        """Start the process; it has no engine yet.

        It ends with this process, however that ends: its standard input closes then.
        """
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  as long as the process
        self._archive = archive
        options = [*_JAVA_OPTIONS, *(archive.options() if archive else [])]
        self._process = subprocess.Popen(
            [str(java.executable), *options, "-cp", class_path, "EngineHost"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=clean_environment(),
            text=True,
            encoding="utf-8",
            bufsize=1,
            start_new_session=True,  # Ctrl-C is pytest's to handle
        )
        self.pid = self._process.pid
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._asking = threading.Lock()
        self._next: tuple[OnRecord, OnStream, Callable[[], None]] | None = None
        self._on_end: Callable[[], None] = lambda: None
        self._reader = threading.Thread(target=self._read, name="engine's records", daemon=True)
        self._reader.start()

    def start(self, on_record: OnRecord, on_stream: OnStream, on_end: Callable[[], None]) -> str:
        """Begin a new, empty engine in place of the one before; return its address.

        Args:
            on_record: given each event of the new engine, in order, on another thread.
            on_stream: told the job type of each stream that a worker has opened.
            on_end: called if the process dies.

        Raises:
            EngineError: the process died, with its last words.
        """
        self._next = (on_record, on_stream, on_end)
        return self.ask("start")

    def ask(self, *words: object) -> str:
        """Send a command, return what it's answered.

        Raises:
            EngineError: the command failed, or the process died, with its last words.
        """
        with self._asking:
            try:
                print(*words, file=self._process.stdin, flush=True)
            except (OSError, ValueError):
                raise EngineError(self.last_words()) from None
            try:
                answer = self._answers.get(timeout=_ANSWER_SECONDS)
            except queue.Empty:
                answer = f"ERR no answer to {words[0]!r} in {_ANSWER_SECONDS:.0f} s"
        if answer is None:
            self._answers.put(None)
            raise EngineError(self.last_words())
        if not answer.startswith("OK"):
            raise EngineError(f"the test engine: {answer.removeprefix('ERR ')}")
        return answer[3:]

    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """Say how the process ended, and what it said last."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.poll()
        ended = f"was killed by signal {-code}" if code is not None and code < 0 else "ended"
        words = "; ".join([*self._words()][-_LAST_WORDS:])
        if code == _OUT_OF_MEMORY:
            words = f"no memory left of the {_JAVA_OPTIONS[0]} it has; {words}".removesuffix("; ")
        return f"the test engine's process {ended} (exit code {code}): {words or 'it said nothing'}"

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._archive and self._process.returncode == 0:
            self._archive.keep()
        self._reader.join(5)
        if self._process.stdout:
            self._process.stdout.close()
        self._said.close()

    def _words(self) -> Iterator[str]:
        with contextlib.suppress(ValueError):
            self._said.seek(0)
            for line in self._said.read().decode(errors="replace").splitlines():
                if line.strip() and not line.startswith(_NOISE):
                    yield line.strip()

    def _read(self) -> None:
        on_record: OnRecord = lambda _: None  # noqa: E731
        on_stream: OnStream = lambda _: None  # noqa: E731
        assert self._process.stdout is not None  # noqa: S101  a pipe
        for line in self._process.stdout:
            kind, rest = line[:2], line[2:].rstrip("\n")
            if kind == "R ":
                on_record(json.loads(rest))
            elif kind == "S ":
                on_stream(rest)
            elif kind in ("OK", "ER"):
                self._answers.put(line.strip())
            elif line == "L\n" and self._next:
                on_record, on_stream, self._on_end = self._next
        # Anything else is Java's own: its warnings may land on standard output.
        self._answers.put(None)
        self._on_end()
