"""The engine's keeper: a small process of its own that runs Java and brings it back when it dies.

It is started by path (``python -I supervisor.py …``) and imports the standard library only: it
lives as long as the engine does, and so must cost next to nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

POLL_SECONDS = 0.05
# Ready for so long, and earlier crashes no longer count. An engine killed once a minute works
# between: with 60 s here it came back later each time, and was given up on in the end (measured).
HEALTHY_SECONDS = 10.0
BACKOFF_SECONDS = (0.2, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
GIVE_UP_AFTER = 8  # crashes in a row
KILL_SECONDS = 10.0  # from SIGKILL to the process being gone
_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
_GET_FOREIGN_SOCKET = 438  # pidfd_getfd(2), Linux 5.6


def main(argv: list[str]) -> int:
    """Run the launch file named first; a second argument is the pipe to a parent to die with."""
    launch = json.loads(Path(argv[0]).read_text())
    if os.fork():
        os._exit(0)  # so that nobody has to reap us: the one who started us may live on for long
    return Supervisor(launch, int(argv[1]) if len(argv) > 1 else None).run()


class Supervisor:
    """Runs one engine until told to stop, its parent is gone, or it can't be kept up."""

    def __init__(self, launch: dict[str, Any], tether: int | None) -> None:
        """Take what `sagaworks.engine.launch` wrote, and the read end of the parent's pipe."""
        self._launch = launch
        self._tether = tether
        self._cache: str | None = launch["cache"]
        self._suspect: str | None = None  # a start cache that the engine died with
        self._engine_file = Path(launch["engine_file"])
        self._stopping = False
        self._ready_at: float | None = None
        self._crashes = 0
        self._was_ever_ready = False
        self._restarts = 0
        self._history = Companion(launch["history"], launch["folder"])
        self._wake_up, wake_up = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_up, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal is none of our business
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only wakes us up

    def run(self) -> int:
        """Keep the engine running; return the process' exit code."""
        try:
            while not self._stopping:
                code = self._run_once()
                if not self._stopping and not self._goes_on(code):
                    return 1
        finally:
            # After the engine: what that did last is sent to it.
            self._history.stop()
            self._engine_file.unlink(missing_ok=True)
            self._clean_scratch()
        say("ended")
        return 0

    def _run_once(self) -> int:
        self._clean_scratch()
        began = time.monotonic()
        java = start_java(self._command(), self._launch)
        self._ready_at = None
        self._describe(java.pid)
        say(f"engine started, process {java.pid}")
        try:
            self._watch(java, began)
        finally:
            code = stop_java(java, self._launch["grace_seconds"])
        say(f"engine ended, exit code {code}")
        return code

    def _command(self) -> list[str]:
        options = self._launch["cache_options"] if self._cache else []
        command: list[str] = self._launch["command"]
        return [command[0], *options, *command[1:]]

    def _watch(self, java: subprocess.Popen[bytes], began: float) -> None:
        """Return when Java has ended or it shall end."""
        closed = False
        while java.poll() is None and not self._stopping:
            if not closed:
                closed = keep_to_loopback(java.pid, self._launch["cluster_port"])
            if self._ready_at is None and is_ready(self._launch["monitoring_port"]):
                self._became_ready(java.pid, time.monotonic() - began, closed=closed)
            self._wait(POLL_SECONDS if self._ready_at is None else None)

    def _became_ready(self, pid: int, seconds: float, *, closed: bool) -> None:
        self._ready_at = time.monotonic()
        self._was_ever_ready = True
        self._drop_suspect()
        say(f"engine ready after {seconds:.1f} s")
        if not closed:
            say(f"warning: could not keep UDP port {self._launch['cluster_port']} to loopback")
        self._describe(pid, ready_seconds=round(seconds, 2), loopback_only=closed)

    def _describe(self, pid: int, **more: object) -> None:
        """Say where the engine is; readers see the old file or the new one, never half of one."""
        said = self._launch["description"] | {
            "pid": pid,
            "pid_started": started_at(pid),
            "supervisor_pid": os.getpid(),
            "supervisor_started": started_at(os.getpid()),
            "ready": self._ready_at is not None,
            "start_cache": self._cache is not None,
            "restarts": self._restarts,
        }
        draft = self._engine_file.with_suffix(".draft")
        draft.write_text(json.dumps(said | more, indent=2) + "\n")
        draft.replace(self._engine_file)

    def _goes_on(self, code: int) -> bool:
        """Decide after a crash; False if another start would only crash again."""
        if self._ready_at is None and self._cache and code != -signal.SIGKILL:
            say("trying without the start cache")
            self._suspect, self._cache = self._cache, None
            return True
        if not self._was_ever_ready:
            say(f"the engine never became ready, exit code {code}")
            return False
        if self._ready_at and time.monotonic() - self._ready_at > HEALTHY_SECONDS:
            self._crashes = 0
        self._crashes += 1
        if self._crashes > GIVE_UP_AFTER:
            say(f"gave up after {self._crashes} crashes in a row")
            return False
        self._back_off()
        return True

    def _drop_suspect(self) -> None:
        """Without the start cache the engine started: so it was the cache that didn't fit."""
        if self._suspect:
            say("the start cache does not fit this Java, or is damaged: dropped")
            Path(self._suspect).unlink(missing_ok=True)
            self._suspect = None

    def _back_off(self) -> None:
        self._restarts += 1
        pause = BACKOFF_SECONDS[min(self._crashes, len(BACKOFF_SECONDS)) - 1]
        say(f"restart in {pause} s")
        end = time.monotonic() + pause
        while not self._stopping and (left := end - time.monotonic()) > 0:
            self._wait(left)

    def _wait(self, seconds: float | None) -> None:
        """Sleep until a signal, the parent's end or the time; see to the companion."""
        pauses = [pause for pause in (seconds, self._history.keep()) if pause is not None]
        seconds = min(pauses, default=None)
        watched = [self._wake_up] if self._tether is None else [self._wake_up, self._tether]
        awake, _, _ = select.select(watched, [], [], seconds)
        if self._wake_up in awake:
            os.read(self._wake_up, 4096)
        if self._tether in awake:  # nobody ever writes to it: readable means end of file
            say("the process that started this engine is gone")
            self._stopping = True

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _clean_scratch(self) -> None:
        """Native libraries are unpacked there at each start, and a killed Java leaves them."""
        shutil.rmtree(self._launch["scratch"], ignore_errors=True)
        Path(self._launch["scratch"]).mkdir(parents=True, exist_ok=True)


class Companion:
    """History, which the engine's exporter sends to: brought back as often as it ends."""

    def __init__(self, told: dict[str, Any] | None, folder: str) -> None:
        """Take what `sagaworks.engine.launch` wrote of it; None: there is none to keep."""
        self._told = told
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._ends = 0
        self._due = 0.0

    def keep(self) -> float | None:
        """Start it if it's due; return in how many seconds to look again, None: when it ends."""
        if self._told is None or self._is_running():
            return None
        left = self._due - time.monotonic()
        if left > 0:
            return left
        self._start(self._told)
        return None

    def stop(self) -> None:
        """End it."""
        if self._process:
            stop_java(self._process, KILL_SECONDS)

    def _is_running(self) -> bool:
        if self._process is None:
            return False
        code = self._process.poll()
        if code is None:
            return True
        now = time.monotonic()
        self._ends = 1 if now - self._began > HEALTHY_SECONDS else self._ends + 1
        pause = BACKOFF_SECONDS[min(self._ends, len(BACKOFF_SECONDS)) - 1]
        say(f"history ended, exit code {code}; again in {pause} s")
        self._process, self._due = None, now + pause
        return False

    def _start(self, told: dict[str, Any]) -> None:
        with Path(told["log"]).open("ab") as log:
            self._process = start_java(told["command"], self._launch(), log)
        self._began = time.monotonic()
        say(f"history started, process {self._process.pid}")

    def _launch(self) -> dict[str, Any]:
        return {"folder": self._folder, "environment": dict(os.environ)}


def say(text: str) -> None:
    """Write one line to the supervisor's log, which is where standard output goes."""
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} supervisor: {text}\n")
    sys.stdout.flush()


def start_java(
    command: list[str], launch: dict[str, Any], output: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start the engine in a process group of its own; it can't outlive this process."""
    return subprocess.Popen(
        command,
        cwd=launch["folder"],
        env=launch["environment"] | inherited(launch),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        process_group=0,
        preexec_fn=_die_with_parent,  # noqa: PLW1509  this process has one thread only
    )


def inherited(launch: dict[str, Any]) -> dict[str, str]:
    """Return what the engine is given of our own environment: secrets, which no file tells."""
    return {name: os.environ[name] for name in launch.get("inherited", ()) if name in os.environ}


def _die_with_parent() -> None:
    """Have the kernel kill Java when its keeper dies: its log is durable, so nothing is lost."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def stop_java(java: subprocess.Popen[bytes], grace_seconds: float) -> int:
    """Ask Java to end, insist after `grace_seconds`; its exit code."""
    if java.poll() is None:
        java.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return java.wait(grace_seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(java.pid, signal.SIGKILL)
    return java.wait(KILL_SECONDS)


def is_ready(monitoring_port: int) -> bool:
    """Ask the engine's readiness probe."""
    connection = http.client.HTTPConnection("127.0.0.1", monitoring_port, timeout=2)
    try:
        connection.request("GET", "/actuator/health/readiness")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def started_at(pid: int) -> int | None:
    """When process `pid` started, in clock ticks since boot: with the pid it names one process.

    None if there is no such process, or only its remains.
    """
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in "ZX" else int(after_name[19])


def keep_to_loopback(pid: int, cluster_port: int) -> bool:
    """Take the engine's gossip socket off every network but loopback; True once that's done.

    Zeebe binds this one socket (UDP, the port of its internal API) to every address, whatever
    its settings say: `NettyUnicastService` has no other way. So its keeper ties it to ``lo``.
    """
    try:
        inodes = _udp_inodes(pid, cluster_port)
        found = descriptors(pid, inodes) if inodes else []
        for fd in found:
            _tie_to_loopback(pid, fd)
    except OSError:
        return False
    return bool(found)


def descriptors(pid: int, inodes: set[str]) -> list[int]:
    """Return the process' descriptors of these sockets."""
    return [int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir() if _inode(fd) in inodes]


def _udp_inodes(pid: int, port: int) -> set[str]:
    lines = [
        line.split()
        for table in ("udp", "udp6")
        if (file := Path(f"/proc/{pid}/net/{table}")).exists()
        for line in file.read_text().splitlines()[1:]
    ]
    return {line[9] for line in lines if int(line[1].rpartition(":")[2], 16) == port}


def _inode(fd: Path) -> str:
    try:
        return str(fd.readlink()).removeprefix("socket:[").removesuffix("]")
    except OSError:
        return ""


def _tie_to_loopback(pid: int, fd: int) -> None:
    with foreign_socket(pid, fd) as gossip:
        gossip.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")


def foreign_socket(pid: int, fd: int) -> socket.socket:
    """Return a copy of another process' socket; what is set on it holds for both."""
    pidfd = os.pidfd_open(pid)
    try:
        copy = ctypes.CDLL(None, use_errno=True).syscall(_GET_FOREIGN_SOCKET, pidfd, fd, 0)
    finally:
        os.close(pidfd)
    if copy < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return socket.socket(fileno=copy)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
