"""What the workers and the carrier say of themselves, read over HTTP as an operator would."""

import json
from collections import Counter
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from prometheus_client.parser import text_string_to_metric_families

from demo.errors import DemoError

ANSWER_WITHIN: Final = 10.0
"""Seconds."""

JOBS: Final = "sagaworks_jobs_total"

PARTNERS: Final = {"carrier": "/parcels", "rental": "/rentals"}
"""The simulated partners, and where each has its books."""

Counts = Counter[tuple[str, str]]
"""How many jobs of a step had an outcome, by (step, outcome)."""


class Readings:
    """The management ports of the workers, and the partners' own.

    Args:
        urls: by service name; a partner's under its own, such as "carrier".
    """

    def __init__(self, urls: dict[str, str]) -> None:
        """Ask nobody yet."""
        self.urls = urls

    def jobs(self) -> Counts:
        """Return the counts of all workers."""
        counts: Counts = Counter()
        for service in self.urls.keys() - PARTNERS.keys():
            _, body = self._get(service, "/metrics")
            counts.update(read_jobs(body.decode()))
        return counts

    def why_not_ready(self, service: str) -> str | None:
        """Return why the worker isn't ready, or None if it is."""
        try:
            status, body = self._get(service, "/ready")
        except DemoError as error:
            return str(error)
        return None if status == 200 else body.decode(errors="replace")  # noqa: PLR2004

    def query(self, service: str, name: str, **parameters: str) -> Any:  # noqa: ANN401  JSON
        """Return the answer of one of the service's readers."""
        return self._json(service, f"/queries/{name}?{urlencode(parameters)}")

    def ledger(self, service: str, key: str) -> list[dict[str, Any]]:
        """Return what happened in the service for one order."""
        return list(self._json(service, f"/ledger/{quote(key, safe='')}")["entries"])

    def carrier(self) -> dict[str, int]:
        """Return the carrier's own books."""
        return dict(self._json("carrier", PARTNERS["carrier"]))

    def rental_company(self) -> dict[str, int]:
        """Return the rental company's own books."""
        return dict(self._json("rental", PARTNERS["rental"]))

    def _json(self, service: str, path: str) -> Any:  # noqa: ANN401  JSON
        status, body = self._get(service, path)
        if status != 200:  # noqa: PLR2004
            said = body.decode(errors="replace")[:300]
            raise DemoError(f"{service}: {status} for GET {path}: {said}")
        return json.loads(body)

    def _get(self, service: str, path: str) -> tuple[int, bytes]:
        url = urlsplit(self.urls[service])
        try:
            with closing(
                HTTPConnection(url.hostname or "", url.port, timeout=ANSWER_WITHIN)
            ) as connection:
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, response.read()
        except (OSError, HTTPException) as error:
            why = f"{type(error).__name__} {error}".strip()
            raise DemoError(f"{service} doesn't answer at {self.urls[service]}: {why}") from error


def read_jobs(metrics: str) -> Counts:
    """Return the job counts of one worker's /metrics."""
    return Counter(
        {
            (sample.labels["step"], sample.labels["outcome"]): int(sample.value)
            for family in text_string_to_metric_families(metrics)
            for sample in family.samples
            if sample.name == JOBS
        }
    )
