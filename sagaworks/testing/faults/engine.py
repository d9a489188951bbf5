"""The real engine, as the wire sees it: bytes there, bytes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
from pyzeebe.proto import gateway_pb2 as pb

from sagaworks.testing.faults.fault import Answered

SERVICE: Final = "gateway_protocol.Gateway"

UNLIMITED: Final = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.so_reuseport", 0),
)
"""How large a message may be is between worker and engine."""

_SECONDS: Final = 10.0

Metadata = tuple[tuple[str, str | bytes], ...]


class Engine:
    """Passes calls on over one channel.

    Args:
        address: host and port.
        credentials: where the engine speaks TLS.
    """

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.address = address
        self._channel = (
            grpc.secure_channel(address, credentials, UNLIMITED)
            if credentials
            else grpc.insecure_channel(address, UNLIMITED)
        )

    def close(self) -> None:
        """End the channel and all calls on it."""
        self._channel.close()

    def call(self, method: str, request: bytes, metadata: Metadata, seconds: float | None) -> bytes:
        """Make a call that has one reply.

        Raises:
            Answered: what it was answered instead.
        """
        try:
            reply: bytes = self._channel.unary_unary(method)(
                request, timeout=seconds, metadata=metadata
            )
        except grpc.RpcError as error:
            raise answer_of(error) from None
        return reply

    def stream(self, method: str, request: bytes, metadata: Metadata, seconds: float | None) -> Any:  # noqa: ANN401
        """Begin a call that has many replies; it is iterated over and may be cancelled."""
        return self._channel.unary_stream(method)(request, timeout=seconds, metadata=metadata)

    def end_lock(self, job_key: int, retries: int) -> bool:
        """Let another worker have a job now; say whether the engine knows it.

        It's failed with its retries unchanged: to workers that is what a lock which ran out looks
        like (same key, same retries, a new deadline), without waiting for a clock.
        """
        request = pb.FailJobRequest(
            jobKey=job_key, retries=max(1, retries), errorMessage="a fault test ends its lock"
        )
        try:
            self.call(f"/{SERVICE}/FailJob", request.SerializeToString(), (), _SECONDS)
        except Answered as answer:
            return answer.code is not grpc.StatusCode.NOT_FOUND
        return True


def answer_of(error: Any) -> Answered:  # noqa: ANN401  grpc's errors are calls too
    """Return an error of gRPC's as the answer that it is."""
    return Answered(error.code(), error.details() or "", tuple(error.trailing_metadata() or ()))


def replies_of(call: Iterator[bytes], take: Callable[[bytes], None]) -> Answered | None:
    """Take every reply of a streaming call; return how it ended, None for well."""
    try:
        for reply in call:
            take(reply)
    except grpc.RpcError as error:
        return answer_of(error)
    return None
