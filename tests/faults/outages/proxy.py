"""A way between workers and engine that a test can cut or silence: bytes in, bytes out."""

import socket
import threading
from contextlib import suppress
from typing import Self


class Proxy:
    """Passes TCP connections on to one address.

    Attributes:
        address: where to connect to instead.
        cut_off: connections that were ended by `cut`.
        held_up: bytes that came in while it was silent.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = self._listen(0)
        self._port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self._port}"
        self.cut_off = 0
        self.held_up = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        """End all connections and refuse new ones, as a machine that was switched off."""
        # Closing alone would leave the thread that accepts with one more connection to come.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._flows.set()
        with self._lock:
            open_now, self._sockets = self._sockets, set()
        self.cut_off += len(open_now) // 2
        for each in open_now:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def silence(self) -> None:
        """Let nothing through, with all connections open, as a cable that was pulled."""
        self._flows.clear()

    def restore(self) -> None:
        """Let everything through again; what was held up arrives late."""
        self._flows.set()
        if self._listener.fileno() < 0:
            self._listener = self._listen(self._port)

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._sockets |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if not self._flows.is_set():
                    self.held_up += len(data)
                    self._flows.wait()
                other.sendall(data)
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            with self._lock:
                self._sockets.discard(each)
