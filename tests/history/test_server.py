"""The contract over HTTP, and who is let in."""

import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from loguru import logger

from sagaworks.errors import ConfigurationError
from sagaworks.history import HistoryUnavailable, HttpHistory, connect
from sagaworks.history.keeping.server import HistoryServer
from sagaworks.history.keeping.store import KeptHistory
from sagaworks.saga import JobKey, SagaKey
from tests.history.contract import DueContract, Take
from tests.history.recorded import ORDER, bulk, job, process

TOKEN = "hunter2"
BULK = "/_bulk"


class Said(NamedTuple):
    status: int
    body: dict


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[KeptHistory]:
    kept = KeptHistory(f"sqlite:///{tmp_path / 'history.db'}")
    kept.prepare()
    yield kept
    kept.close()


@pytest.fixture
def server(kept: KeptHistory) -> Iterator[HistoryServer]:
    server = HistoryServer(kept)
    yield server
    server.close()


@pytest.fixture
def guarded(kept: KeptHistory) -> Iterator[HistoryServer]:
    server = HistoryServer(kept, token=TOKEN)
    yield server
    server.close()


def send(server: HistoryServer, method: str, path: str, body: bytes = b"", **headers: str) -> Said:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, given)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return Said(answer.status, json.loads(text) if path != "/metrics" else {"text": text.decode()})


def post(url: str, body: bytes) -> int:
    """Send a bulk; return the status."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("POST", BULK, body)
    status = connection.getresponse().status
    connection.close()
    return status


class TestOverHttp(DueContract):
    @pytest.fixture
    def history(self, server: HistoryServer) -> Iterator[HttpHistory]:
        asking = HttpHistory(server.url)
        yield asking
        asking.close()

    @pytest.fixture
    def take(self, server: HistoryServer) -> Take:
        return lambda records: _taken(send(server, "POST", BULK, bulk(records)))


def _taken(said: Said) -> None:
    assert said == (200, {"took": 0, "errors": False, "items": []})


def test_a_bulk_may_come_packed_and_in_chunks(server: HistoryServer) -> None:
    packed = gzip.compress(bulk([job(1, "CREATED")]))
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.request("POST", BULK, iter([packed[:20], packed[20:]]), {"Content-Encoding": "gzip"})

    assert connection.getresponse().status == 200
    assert server.history.job(7)
    connection.close()


def test_what_the_exporter_sets_up_first_is_acknowledged(server: HistoryServer) -> None:
    for method, path in (
        ("PUT", "/_component_template/zeebe-record"),
        ("PUT", "/_index_template/zeebe-record_job_8.6.0"),
        ("PUT", "/zeebe-record*/_settings"),
    ):
        assert send(server, method, path, b"{}") == (200, {"acknowledged": True, "errors": False})


@pytest.mark.parametrize(
    "body", [b"{}\nnonsense\n", b'{}\n{"key": 1}\n', b"{}\n[]\n"], ids=["text", "part", "list"]
)
def test_what_is_no_record_is_not_acknowledged(server: HistoryServer, body: bytes) -> None:
    said = send(server, "POST", BULK, body)

    assert said.status == 400
    assert "error" in said.body


UNREADABLE = {
    "no JSON": b'{"partitionId": 1, "posi',
    "no record": b"[]",
    "of another shape": json.dumps({**job(2, "CREATED"), "value": "JOB"}).encode(),
    "a position in words": json.dumps({**job(2, "CREATED"), "position": "two"}).encode(),
}


@pytest.mark.parametrize("line", UNREADABLE.values(), ids=UNREADABLE)
def test_a_line_that_can_not_be_read_stops_no_exporter(server: HistoryServer, line: bytes) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}", level="ERROR")
    action = b'{"index":{"_index":"zeebe-record_job_8.6.0","_id":"1-2","routing":"1"}}'
    whole = bulk([job(1, "CREATED", 8)]) + action + b"\n" + line + b"\n"

    for _ in range(2):
        _taken(send(server, "POST", BULK, whole + bulk([job(3, "CREATED", 9)])))
    logger.remove(sink)

    asking = HttpHistory(server.url)
    assert [one.key for one in asking.jobs(SagaKey(ORDER))] == [8, 9]
    assert "at position 2 of partition 1" in asking.unread([SagaKey(ORDER)])[SagaKey(ORDER)]
    assert asking.unread([]) == {}
    assert asking.told([SagaKey(ORDER)]) == ({}, asking.unread([SagaKey(ORDER)]))
    assert asking.told([]) == ({}, {})
    asking.close()
    (said,) = lines
    assert said.startswith("partition 1, position 2: a record can't be read")
    text = send(server, "GET", "/metrics").body["text"]
    assert "sagaworks_history_unread_total 2.0" in text


def test_variables_nested_however_deep_are_left_out(server: HistoryServer) -> None:
    deep = json.dumps(job(1, "COMPLETED", variables="?")).replace('"?"', "[" * 5000 + "]" * 5000)

    _taken(send(server, "POST", BULK, b'{"index":{}}\n' + deep.encode() + b"\n"))

    found = server.history.job(JobKey(7))
    assert found
    assert (found.last, found.element) == ("COMPLETED", "sell")


def test_a_bulk_that_can_t_be_committed_is_not_acknowledged(
    server: HistoryServer, kept: KeptHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise HistoryUnavailable("history.db: database or disk is full")

    monkeypatch.setattr(kept, "take", full)
    refused = send(server, "POST", BULK, bulk([job(1, "CREATED")]))
    ready = send(server, "GET", "/ready")
    monkeypatch.undo()
    taken = send(server, "POST", BULK, bulk([job(1, "CREATED")]))

    assert refused == (503, {"error": "history.db: database or disk is full"})
    assert ready == (503, {"ready": False, "reasons": ["history.db: database or disk is full"]})
    _taken(taken)
    assert send(server, "GET", "/ready").status == 200


def test_anywhere_but_on_loopback_it_wants_a_token(kept: KeptHistory) -> None:
    with pytest.raises(ConfigurationError, match="set SAGAWORKS_TOKEN"):
        HistoryServer(kept, host="0.0.0.0")  # noqa: S104


def test_a_port_that_is_taken_is_named(kept: KeptHistory, server: HistoryServer) -> None:
    port = int(server.url.rpartition(":")[2])

    with pytest.raises(ConfigurationError, match=f"port {port}: .* --listen"):
        HistoryServer(kept, port=port)


def test_a_web_page_can_send_no_records(server: HistoryServer) -> None:
    said = send(server, "POST", BULK, bulk([job(1, "CREATED")]), Origin="http://evil.example")

    assert said.status == 403
    assert server.history.job(7) is None


def test_a_name_that_only_looks_like_loopback_is_refused(server: HistoryServer) -> None:
    assert send(server, "GET", "/history/v1/life", Host="evil.example").status == 403


def test_the_exporter_shows_the_token_as_its_password(guarded: HistoryServer) -> None:
    basic = "Basic c2FnYXdvcmtzOmh1bnRlcjI="  # sagaworks:hunter2

    assert send(guarded, "POST", BULK, bulk([job(1, "CREATED")])).status == 401
    assert send(guarded, "POST", BULK, b"", Authorization="Basic bm9ib2R5").status == 401
    _taken(send(guarded, "POST", BULK, bulk([job(1, "CREATED")]), Authorization=basic))


def test_who_asks_shows_the_token(guarded: HistoryServer) -> None:
    assert connect(guarded.url, token=TOKEN).life() == 1
    for wrong in (None, "other"):
        with pytest.raises(HistoryUnavailable, match="refuses: its token or password"):
            connect(guarded.url, token=wrong).life()


def test_nobody_listening_is_one_line(server: HistoryServer) -> None:
    asking = connect(server.url)
    server.close()

    with pytest.raises(HistoryUnavailable) as away:
        asking.life()

    assert str(away.value) == f"no history at {server.url}: nobody listens there"


def test_a_connection_is_kept_over_a_restart_of_the_server(
    kept: KeptHistory, server: HistoryServer
) -> None:
    asking = connect(server.url)
    asking.life()
    server.close()
    again = HistoryServer(kept, port=int(server.url.rpartition(":")[2]))

    assert asking.life() == 1
    again.close()


def test_another_server_is_no_history(server: HistoryServer) -> None:
    asking = connect(server.url)
    asking._server.name += "/elsewhere"

    with pytest.raises(HistoryUnavailable, match="is no history"):
        asking.life()


def raw(server: HistoryServer, head: str) -> tuple[int, bytes]:
    """Send a request's head and nothing of its body; return the status, and all until the end."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"{head}\r\nHost: {host}\r\n\r\n".encode())
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    return int(said.split()[1]), said


MUCH = "Content-Length: 60000000"


@pytest.mark.parametrize(
    "body", [MUCH, f"{MUCH}\r\nExpect: 100-continue", "Transfer-Encoding: chunked"]
)
def test_who_shows_no_token_is_answered_before_a_body_is_read(
    guarded: HistoryServer, body: str
) -> None:
    status, said = raw(guarded, f"POST {BULK} HTTP/1.1\r\n{body}")

    assert status == 401
    assert b"Connection: close" in said
    assert said.endswith(b'{"error": "wants the token: a bearer, or a password"}')


def test_a_body_is_not_read_where_anybody_may_ask(guarded: HistoryServer) -> None:
    status, said = raw(guarded, f"POST /live HTTP/1.1\r\n{MUCH}")

    assert (status, b"Connection: close" in said) == (200, True)


@pytest.mark.parametrize("length", ["99999999999", "-1"])
def test_what_is_too_large_is_refused_before_it_is_read(
    guarded: HistoryServer, length: str
) -> None:
    shown = f"Authorization: Bearer {TOKEN}"
    status, said = raw(guarded, f"POST {BULK} HTTP/1.1\r\n{shown}\r\nContent-Length: {length}")

    assert status == 413
    assert b"Connection: close" in said
    assert said.endswith(b'{"error": "at most 67108864 bytes"}')


def test_who_waits_to_be_asked_for_a_body_is_asked(server: HistoryServer) -> None:
    body = bulk([job(1, "CREATED")])
    host, port = server.url.removeprefix("http://").split(":")
    head = f"POST {BULK} HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        asked = connection.recv(4096)
        connection.sendall(body)
        answer = connection.recv(4096)

    assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_page_that_is_not_there_is_none(server: HistoryServer) -> None:
    for path in (
        "jobs/x",
        "jobs/1e5",
        f"jobs/{2**63}",
        "instances",
        "nothing/1",
        "instances/1/nothing",
    ):
        assert send(server, "GET", f"/history/v1/{path}").status == 404
    assert send(server, "POST", "/history/v1/life").status == 405
    assert send(server, "POST", "/history/v1/told", b"1,two").status == 404


def test_a_host_that_is_no_name_is_refused(server: HistoryServer) -> None:
    assert send(server, "GET", "/history/v1/life", Host="[").status == 403


def test_what_came_is_measured(server: HistoryServer) -> None:
    for _ in range(2):
        send(server, "POST", BULK, bulk([process(1, "ELEMENT_ACTIVATED"), job(2, "CREATED")]))

    text = send(server, "GET", "/metrics").body["text"]

    assert 'sagaworks_history_records_total{meeting="new"} 2.0' in text
    assert 'sagaworks_history_records_total{meeting="repeat"} 2.0' in text
    assert 'sagaworks_history_life{partition="1"} 1.0' in text
    assert 'sagaworks_history_last_record_age_seconds{partition="1"}' in text
