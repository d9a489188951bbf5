"""The contract on the adapters of Camunda's own APIs, whose servers are simulated here."""

from collections.abc import Callable, Iterator

import pytest

from sagaworks.history import History, HistoryUnavailable, connect
from sagaworks.history.keeping.web import in_json
from tests.history import simulated
from tests.history.contract import AnswerContract, Take
from tests.history.recorded import ORDER, element, in_partition, incident, job, process
from tests.history.simulated import ACCOUNT, Simulated, SimulatedCamunda, SimulatedOperate


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for adapter in ("camunda", "operate"):
        monkeypatch.setattr(f"sagaworks.history.{adapter}._AT_ONCE", simulated.PAGE)


_UNLIKE: list[object] = [
    [],
    "text",
    {"items": None, "page": {}},
    {"items": ["text"], "page": {}},
    {"items": [{}], "page": {}},
    {"items": [{"key": "x", "processInstanceKey": {}, "scopeKey": {}}], "page": {}},
]
"""What an API of another version may answer."""


class AdapterContract(AnswerContract):
    @pytest.fixture
    def take(self, server: Simulated) -> Take:
        return server.take

    @pytest.fixture
    def history(self, server: Simulated, scheme: str) -> History:
        user, password = ACCOUNT
        return connect(f"{scheme}+http://{user}:{password}@127.0.0.1:{server.server.port}")

    def test_flows_come_after_the_elements(self, take: Take, history: History) -> None:
        take(
            [
                process(1, "ELEMENT_ACTIVATED"),
                element(2, "ELEMENT_COMPLETED", 20, "hold"),
                element(3, "SEQUENCE_FLOW_TAKEN", 30, "a_to_b", bpmnElementType="SEQUENCE_FLOW"),
            ]
        )

        assert [(one.id, one.kind) for one in history.elements(ORDER)] == [
            ("hold", "SERVICE_TASK"),
            ("a_to_b", "SEQUENCE_FLOW"),
        ]

    def test_all_pages_are_read(self, take: Take, history: History) -> None:
        take([process(1, "ELEMENT_ACTIVATED")])
        take([element(2 + n, "ELEMENT_COMPLETED", 20 + n, f"step_{n}") for n in range(5)])

        assert len(history.elements(ORDER)) == 5

    @pytest.mark.parametrize("otherwise", _UNLIKE)
    def test_what_answers_otherwise_than_expected_is_one_line(
        self, server: Simulated, history: History, otherwise: object
    ) -> None:
        usual = server.answer
        server.server.answer = lambda request: (
            usual(request) if request.path == "/api/login" else in_json(otherwise)
        )
        questions: list[Callable[[], object]] = [
            lambda: history.instance(ORDER),
            lambda: history.instances("order-42"),
            lambda: history.elements(ORDER),
            lambda: history.incidents(ORDER),
            lambda: history.diagram(ORDER),
        ]

        for ask in questions:
            with pytest.raises(HistoryUnavailable, match="what answers at http") as unlike:
                ask()
            assert "\n" not in str(unlike.value)

    def test_a_page_that_leads_to_itself_is_no_endless_answer(
        self, server: Simulated, history: History
    ) -> None:
        usual = server.answer
        page = {"items": [{}] * simulated.PAGE, "page": {"endCursor": "x"}, "sortValues": ["x"]}
        server.server.answer = lambda request: (
            usual(request) if request.path == "/api/login" else in_json(page)
        )

        with pytest.raises(HistoryUnavailable, match="see SAGAWORKS_HISTORY"):
            history.incidents(ORDER)

    def test_it_knows_of_one_life_and_of_no_undoing(self, history: History) -> None:
        assert history.life() == 1
        assert (history.undoings(ORDER), history.undone_by(1)) == ([], None)

    def test_nobody_listening_is_one_line(self, server: Simulated, history: History) -> None:
        server.server.close()

        with pytest.raises(HistoryUnavailable, match="nobody listens there"):
            history.instance(ORDER)


class TestSimulatedCamunda(AdapterContract):
    @pytest.fixture
    def scheme(self) -> str:
        return "camunda"

    @pytest.fixture
    def server(self) -> Iterator[Simulated]:
        server = SimulatedCamunda()
        yield server
        server.server.close()

    def test_the_scope_of_an_element_is_told(self, take: Take, history: History) -> None:
        take(
            [
                process(1, "ELEMENT_ACTIVATED"),
                element(2, "ELEMENT_ACTIVATED", 20, "pack", bpmnElementType="SUB_PROCESS"),
                element(3, "ELEMENT_ACTIVATED", 21, "wrap", flowScopeKey=20),
            ]
        )

        scopes = {one.id: one.scope for one in history.elements(ORDER)}

        assert scopes == {"pack": ORDER, "wrap": 20}


class TestSimulatedOperate(AdapterContract):
    @pytest.fixture
    def scheme(self) -> str:
        return "operate"

    @pytest.fixture
    def server(self) -> Iterator[Simulated]:
        server = SimulatedOperate()
        yield server
        server.server.close()

    def test_a_jobs_last_record_decides(self, take: Take, history: History) -> None:
        """Operate's API has no jobs: nothing is known, and nothing concluded."""
        take([process(0, "ELEMENT_ACTIVATED"), job(1, "COMPLETED")])

        assert history.job(7) is None

    def test_the_jobs_of_a_saga_come_as_they_were_created(
        self, take: Take, history: History
    ) -> None:
        take([job(1, "CREATED")])

        assert history.jobs(ORDER) == []

    def test_an_incident_says_what_is_wrong_until_it_is_resolved(
        self, take: Take, history: History
    ) -> None:
        take([in_partition(2, element(1, "ELEMENT_ACTIVATED", 2, "sell"))])
        super().test_an_incident_says_what_is_wrong_until_it_is_resolved(take, history)

    def test_an_incident_stands_at_its_element(self, take: Take, history: History) -> None:
        take([process(1, "ELEMENT_ACTIVATED"), element(2, "ELEMENT_ACTIVATED", 2, "sell")])
        take([incident(3, "CREATED")])

        (found,) = history.incidents(ORDER)

        assert (found.element, found.element_instance, found.job) == ("sell", 2, 7)

    def test_a_wrong_password_is_one_line(self, server: Simulated) -> None:
        asking = connect(f"operate+http://demo:wrong@127.0.0.1:{server.server.port}")

        with pytest.raises(HistoryUnavailable, match="refuses the login"):
            asking.instance(ORDER)
