"""Where worker processes come from: forked from a warm one, and followed by another when killed.

    python -m tests.faults.real.nursery LOGS

It reads orders from standard input, a line each (`inventory` starts one more worker of that
service), and tells what happens on standard output (`died inventory 4711 9`). A worker that is
killed is followed by another at once, and so is one that is stopped: nobody else is restarted.
When the input ends, all workers end with it.
"""

import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1

Live = Callable[[str], int]
"""Lives a worker's life for the named service; returns its exit code."""


class Nursery:
    """The workers that live, by process id."""

    def __init__(self, live: Live, logs: Path) -> None:
        self._live = live
        self._logs = logs
        self._service: dict[int, str] = {}
        self._stopped: set[int] = set()
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Start workers as told, follow those that die, until nobody gives orders any more."""
        orders = b""
        while True:
            ready, _, _ = select.select([0, self._wake], [], [])
            if self._wake in ready:
                with suppress(BlockingIOError):
                    os.read(self._wake, 4096)
                self._look()
            if 0 in ready:
                read = os.read(0, 4096)
                if not read:
                    break
                *lines, orders = (orders + read).split(b"\n")
                for line in lines:
                    self._start(line.decode())
        for pid in self._service:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _look(self) -> None:
        while self._service:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            if not pid:
                return
            service = self._service[pid]
            if os.WIFSTOPPED(status):
                self._tell("stopped", service, pid, os.WSTOPSIG(status))
                self._stopped.add(pid)
                self._start(service)
                continue
            del self._service[pid]
            code = os.waitstatus_to_exitcode(status)
            self._tell("died" if code == -signal.SIGKILL else "ended", service, pid, code)
            if code == -signal.SIGKILL and pid not in self._stopped:
                self._start(service)

    def _start(self, service: str) -> None:
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            self._become(service, parent)
        self._service[pid] = service
        self._tell("began", service, pid, 0)

    def _become(self, service: str, parent: int) -> None:
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            log = os.open(self._logs / f"{service}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = self._live(service)
        except BaseException as error:  # noqa: BLE001  nothing of a child may run on as the nursery
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def _tell(self, what: str, service: str, pid: int, number: int) -> None:
        os.write(1, f"{what} {service} {pid} {number}\n".encode())


if __name__ == "__main__":
    from tests.faults.real.life import live

    Nursery(live, Path(sys.argv[1])).run()
