"""The gRPC channel to the engine, by pyzeebe's own makers, with retries and buffers in our hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import grpc
from pyzeebe import (
    create_insecure_channel,
    create_oauth2_client_credentials_channel,
    create_secure_channel,
)

from sagaworks.errors import ConfigurationError
from sagaworks.settings import Settings

_OPTIONS: Final = (
    # gRPC's own retries would resend a completion that we must count first.
    ("grpc.enable_retries", 0),
    # The gateway answers pings more often than every 30 s with "too many pings".
    ("grpc.keepalive_time_ms", 45_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # It's also how long one attempt to connect may take: an engine that starts is slow to answer.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    # A fixed, small window: what isn't read is pushed back to the engine, not hoarded here.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 65_536),
)


@asynccontextmanager
async def open_channel(settings: Settings) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel to the engine the settings name; it connects, and reconnects, by itself.

    Raises:
        ConfigurationError: the certificate can't be read.
    """
    channel = _create(settings)
    try:
        yield channel
    finally:
        await channel.close(grace=None)


def _create(settings: Settings) -> grpc.aio.Channel:
    address = settings.engine_address()
    if settings.zeebe_client_id:
        return create_oauth2_client_credentials_channel(
            address,
            client_id=settings.zeebe_client_id,
            client_secret=settings.zeebe_client_secret or "",
            authorization_server=settings.zeebe_authorization_server or "",
            scope=None,
            audience=settings.zeebe_token_audience,
            channel_credentials=_credentials(settings.zeebe_ca_certificate),
            channel_options=_OPTIONS,
        )
    if settings.zeebe_secure:
        credentials = _credentials(settings.zeebe_ca_certificate)
        return create_secure_channel(address, _OPTIONS, credentials)
    return create_insecure_channel(address, _OPTIONS)


def _credentials(ca_certificate: Path | None) -> grpc.ChannelCredentials:
    if ca_certificate is None:
        return grpc.ssl_channel_credentials()
    try:
        return grpc.ssl_channel_credentials(ca_certificate.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"ZEEBE_CA_CERTIFICATE: {error}") from None
