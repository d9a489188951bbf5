"""What the gateway demands of a request, and how it refuses one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import grpc

TENANT: Final = "<default>"


class Refused(Exception):
    """What the gateway answers instead of a reply: a status code and its details."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


def not_found(message: str) -> NoReturn:
    """Refuse what names something that isn't there."""
    raise Refused(grpc.StatusCode.NOT_FOUND, message)


def demand(fulfilled: object, what: str) -> None:
    """Refuse unless `fulfilled`, saying `what` was expected."""
    if not fulfilled:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Expected {what}")


def demand_tenant(tenants: Sequence[str]) -> None:
    """Refuse every tenant but the default one."""
    demand(set(tenants) <= {TENANT}, "no tenant, as multi-tenancy is disabled")


def object_of(variables: str) -> dict[str, Any]:
    """Read a document of variables as strictly as the gateway: an object, no NaN."""
    try:
        document = json.loads(variables or "{}", parse_constant=_refuse_constant)
    except ValueError as error:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"variables: {error}") from None
    demand(isinstance(document, dict), "the root of variables to be an object")
    return dict(document)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} isn't JSON")
