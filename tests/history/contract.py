"""What every history answers, written once; each kind of history inherits it."""

from collections.abc import Callable, Iterable

import pytest

from sagaworks.history import BrowsableHistory, History, Known, TellsWhatIsDue
from sagaworks.history.port import TellsAtOnce, TellsHowFar, instances_of
from sagaworks.saga import SagaKey
from tests.history.recorded import (
    DEFINITION,
    ORDER,
    OTHER,
    XML,
    deployed,
    element,
    in_partition,
    incident,
    job,
    later,
    process,
    record,
    undoing,
    variable,
)

Take = Callable[[Iterable[dict]], object]


class AnswerContract:
    """What is asked of any history, whoever keeps it.

    A class that inherits it has two fixtures: `take`, which gives records, and `history`.
    """

    def test_a_jobs_last_record_decides(self, take: Take, history: History) -> None:
        take([job(0, "CREATED"), job(1, "ERROR_THROWN", errorCode="NO"), job(2, "CANCELED")])

        found = history.job(7)

        assert found
        assert (found.last, found.instance, found.element) == ("CANCELED", ORDER, "sell")
        assert (found.element_instance, found.type, found.retries) == (2, "shop.sell", 3)

    def test_a_missing_record_is_none(self, take: Take, history: History) -> None:
        take([job(0, "CREATED")])

        assert history.job(8) is None
        assert history.instance(OTHER) is None
        assert history.undone_by(1) is None
        assert history.diagram(OTHER) is None
        assert [*history.instances("o-1"), *history.jobs(OTHER), *history.elements(OTHER)] == []
        assert [*history.incidents(OTHER), *history.undoings(OTHER)] == []

    def test_an_instance_has_its_beginning_and_its_end(self, take: Take, history: History) -> None:
        take([process(1, "ELEMENT_ACTIVATING"), process(2, "ELEMENT_ACTIVATED")])
        running = history.instance(ORDER)
        take([process(5, "ELEMENT_TERMINATED")])
        ended = history.instance(ORDER)

        assert running
        assert ended
        assert (running.process, running.version, running.ended) == ("place_order", 1, None)
        assert (ended.last, ended.began, ended.ended) == ("ELEMENT_TERMINATED", 1001, 1005)

    def test_a_called_instance_knows_who_called_it(self, take: Take, history: History) -> None:
        take([process(1, "ELEMENT_ACTIVATED", OTHER, parentProcessInstanceKey=ORDER)])

        found = history.instance(OTHER)

        assert found
        assert found.parent == ORDER

    def test_instances_are_found_by_their_business_key(self, take: Take, history: History) -> None:
        take(
            [
                variable(1, "saga_key", "order/42 ä"),
                process(2, "ELEMENT_ACTIVATED"),
                process(3, "ELEMENT_ACTIVATED", OTHER),
                variable(4, "saga_key", "order/42 ä", processInstanceKey=OTHER, scopeKey=OTHER),
            ]
        )

        found = history.instances("order/42 ä")

        assert [(one.key, one.business_key) for one in found] == [
            (ORDER, "order/42 ä"),
            (OTHER, "order/42 ä"),
        ]
        assert history.instances("order/42") == []

    def test_many_instances_are_found_in_one_question(self, take: Take, history: History) -> None:
        take(
            [
                variable(1, "saga_key", "order-42"),
                process(2, "ELEMENT_ACTIVATED"),
                process(3, "ELEMENT_ACTIVATED", OTHER),
                job(4, "CREATED"),
            ]
        )

        keys = [SagaKey(ORDER), SagaKey(OTHER), SagaKey(99)]
        found = instances_of(history, keys)

        if isinstance(history, TellsAtOnce):
            assert history.told(keys) == (found, {})
        assert {key: one.business_key for key, one in found.items()} == {
            ORDER: "order-42",
            OTHER: None,
        }

    def test_the_jobs_of_a_saga_come_as_they_were_created(
        self, take: Take, history: History
    ) -> None:
        take([job(1, "CREATED"), job(2, "CREATED", 8), job(3, "COMPLETED")])

        assert [(one.key, one.last) for one in history.jobs(ORDER)] == [
            (7, "COMPLETED"),
            (8, "CREATED"),
        ]

    def test_elements_come_in_the_order_in_which_they_ended(
        self, take: Take, history: History
    ) -> None:
        take(
            [
                process(1, "ELEMENT_ACTIVATED"),
                element(2, "ELEMENT_ACTIVATED", 20, "pack", bpmnElementType="SUB_PROCESS"),
                element(3, "ELEMENT_ACTIVATED", 21, "sell", flowScopeKey=20),
                element(4, "ELEMENT_TERMINATED", 21, "sell", flowScopeKey=20),
                element(5, "ELEMENT_COMPLETED", 20, "pack", bpmnElementType="SUB_PROCESS"),
            ]
        )

        found = history.elements(ORDER)

        assert [(one.id, one.last, one.ended is not None) for one in found] == [
            ("sell", "ELEMENT_TERMINATED", True),
            ("pack", "ELEMENT_COMPLETED", True),
        ]
        assert [(one.kind, one.began) for one in found] == [
            ("SERVICE_TASK", 1003),
            ("SUB_PROCESS", 1002),
        ]

    def test_an_incident_says_what_is_wrong_until_it_is_resolved(
        self, take: Take, history: History
    ) -> None:
        take([job(1, "FAILED"), incident(2, "CREATED")])
        (open_,) = history.incidents(ORDER)
        take([incident(3, "RESOLVED")])
        (resolved,) = history.incidents(ORDER)

        assert (open_.kind, open_.job, open_.element) == ("JOB_NO_RETRIES", 7, "sell")
        assert open_.message == "the carrier is closed"
        assert (open_.resolved, resolved.resolved) == (False, True)

    def test_the_diagram_is_the_one_that_was_deployed(self, take: Take, history: History) -> None:
        take([deployed(1), process(2, "ELEMENT_ACTIVATED")])

        assert history.diagram(ORDER) == XML


class RecordContract(AnswerContract):
    """What is asked of a history that the engine's records are given to."""

    def test_it_tells_how_far_it_has_come_on_each_partition(
        self, take: Take, history: History
    ) -> None:
        assert isinstance(history, TellsHowFar)
        take([job(5, "CREATED"), record(7, "MESSAGE", "EXPIRED", 1)])

        assert history.seen_until(SagaKey(ORDER)) == 1007
        assert history.seen_until(SagaKey((2 << 51) + 1)) == 0

    def test_flows_that_were_taken_are_kept(self, take: Take, history: History) -> None:
        take([element(1, "SEQUENCE_FLOW_TAKEN", 30, "a_to_b", bpmnElementType="SEQUENCE_FLOW")])

        assert [(one.id, one.last) for one in history.elements(ORDER)] == [
            ("a_to_b", "SEQUENCE_FLOW_TAKEN")
        ]

    def test_a_back_off_says_when_the_job_comes_again(self, take: Take, history: History) -> None:
        take([job(1, "FAILED", retryBackoff=500, recurringTime=1501, errorMessage="busy")])

        found = history.job(7)

        assert found
        assert (found.recurs, found.error_message) == (1501, "busy")

    def test_a_lock_that_was_extended_is_not_the_last_word(
        self, take: Take, history: History
    ) -> None:
        take([job(1, "CREATED"), job(2, "TIMEOUT_UPDATED", deadline=2000)])

        found = history.job(7)

        assert found
        assert (found.last, found.locked) == ("CREATED", 2000)

    def test_a_compensation_job_tells_what_it_undoes(self, take: Take, history: History) -> None:
        take(
            [
                undoing(1, "CREATED"),
                undoing(2, "CREATED", 81, compensableActivityInstanceKey=21),
                undoing(3, "TRIGGERED", compensationHandlerInstanceKey=40, throwEventId="undo"),
                undoing(
                    4,
                    "TRIGGERED",
                    81,
                    compensableActivityInstanceKey=21,
                    compensationHandlerInstanceKey=41,
                    throwEventId="undo",
                ),
                undoing(5, "COMPLETED"),
            ]
        )

        first, second = history.undone_by(40), history.undone_by(41)

        assert first
        assert second
        assert (first.element_instance, first.last, first.thrown_by) == (20, "COMPLETED", "undo")
        assert (second.element_instance, second.last) == (21, "TRIGGERED")
        assert [one.key for one in history.undoings(ORDER)] == [80, 81]

    def test_the_business_key_is_the_sagas_own_and_of_no_inner_scope(
        self, take: Take, history: History
    ) -> None:
        take([process(1, "ELEMENT_ACTIVATED"), variable(2, "saga_key", "o-2", scopeKey=9)])

        assert history.instances("o-2") == []

    def test_a_repeat_changes_nothing(self, take: Take, history: History) -> None:
        take([job(1, "CREATED"), job(2, "COMPLETED")])
        take([job(1, "CREATED")])
        take([job(1, "CREATED"), job(2, "COMPLETED"), job(3, "CREATED", 8)])

        found = history.job(7)

        assert found
        assert (found.last, history.life()) == ("COMPLETED", 1)
        assert [one.key for one in history.jobs(ORDER)] == [7, 8]

    def test_positions_are_each_partitions_own(self, take: Take, history: History) -> None:
        take([job(9, "CREATED"), in_partition(2, job(3, "CREATED", 8))])

        assert history.job(8)
        assert history.life() == 1

    def test_a_command_is_no_event(self, take: Take, history: History) -> None:
        take([{**job(1, "COMPLETE"), "recordType": "COMMAND"}])

        assert history.job(7) is None

    def test_another_record_at_a_known_position_opens_a_new_life(
        self, take: Take, history: History
    ) -> None:
        take([job(1, "CREATED"), job(2, "COMPLETED")])
        before = history.life()

        take([later(job(2, "FAILED"))])

        found = history.job(7)
        assert found
        assert (before, history.life(), found.last) == (1, 2, "FAILED")

    def test_what_the_engine_forgot_is_not_believed(self, take: Take, history: History) -> None:
        take([process(1, "ELEMENT_ACTIVATED"), variable(2, "saga_key", "o-1"), job(3, "COMPLETED")])

        take([later(record(1, "PROCESS_INSTANCE", "ELEMENT_ACTIVATED", OTHER, **_OF_OTHER))])

        assert history.life() == 2
        assert history.job(7) is None
        assert history.instance(ORDER) is None
        assert history.instances("o-1") == []

    def test_what_came_before_the_copy_holds_in_the_new_life(
        self, take: Take, history: History
    ) -> None:
        take([job(1, "CREATED"), job(2, "CREATED", 8), job(3, "COMPLETED")])

        take([job(2, "CREATED", 8), later(job(3, "CREATED", 9))])

        found = history.job(7)
        assert found
        assert (history.life(), found.last) == (2, "CREATED")
        assert [one.key for one in history.jobs(ORDER)] == [7, 8, 9]

    def test_a_key_that_comes_again_in_a_new_life_is_another_saga(
        self, take: Take, history: History
    ) -> None:
        take([process(5, "ELEMENT_ACTIVATED"), process(6, "ELEMENT_COMPLETED")])

        take([later(process(4, "ELEMENT_ACTIVATED", bpmnProcessId="book_trip"))])

        found = history.instance(ORDER)
        assert found
        assert (found.process, found.ended, found.began) == ("book_trip", None, 1_001_004)

    def test_an_instance_of_the_same_number_begins_with_a_key_of_its_own(
        self, take: Take, history: History
    ) -> None:
        """What the former life wrote before the first record of this one can't be told from it."""
        take([variable(2, "saga_key", "o-1"), process(3, "ELEMENT_ACTIVATING"), job(4, "CREATED")])

        take([later(variable(4, "saga_key", "o-2")), later(process(5, "ELEMENT_ACTIVATING"))])

        found = history.instance(ORDER)
        assert found
        assert (found.business_key, found.began) == ("o-2", 1_001_005)

    def test_a_third_life_forgets_what_the_second_did(self, take: Take, history: History) -> None:
        take([job(1, "CREATED"), job(5, "CREATED", 8)])
        take([later(job(4, "CREATED", 9))])
        take([later(job(2, "CREATED", 10), 2_000_000)])

        assert history.life() == 3
        assert [one.key for one in history.jobs(ORDER)] == [7, 10]

    def test_a_wiped_engines_records_of_no_interest_open_a_new_life_too(
        self, take: Take, history: History
    ) -> None:
        take([job(3, "COMPLETED")])

        take([later(variable(1, "address", "Main Street 1"))])

        assert (history.life(), history.job(7)) == (2, None)

    def test_a_kind_that_is_sent_only_now_opens_no_life(self, take: Take, history: History) -> None:
        take([job(3, "COMPLETED")])

        take([variable(1, "address", "Main Street 1"), job(3, "COMPLETED")])

        assert history.life() == 1
        assert history.job(7)

    def test_sagas_are_gone_through_from_the_newest_without_their_keys(
        self, take: Take, history: BrowsableHistory
    ) -> None:
        take([process(0, "ELEMENT_ACTIVATED"), process(1, "ELEMENT_ACTIVATED", OTHER)])
        take([variable(2, "saga_key", "o-1"), job(3, "CREATED")])
        take([element(4, "ELEMENT_ACTIVATED", 2, "sell"), incident(5, "CREATED")])
        take([undoing(6, "CREATED"), element(7, "SEQUENCE_FLOW_TAKEN", 3, "f")])

        (newest,) = history.newest(1)
        rest = history.newest(5, before=newest.instance.key)

        assert newest.instance.key == OTHER
        assert [one.instance for one in rest] == [history.instance(ORDER)]
        assert rest[0] == Known.of(history, rest[0].instance)
        assert history.newest(5, before=ORDER) == []

    def test_sagas_of_a_life_that_is_over_are_passed_over_in_going_through(
        self, take: Take, history: BrowsableHistory
    ) -> None:
        take([process(0, "ELEMENT_ACTIVATED"), process(1, "ELEMENT_ACTIVATED", OTHER)])
        take([later(process(1, "ELEMENT_ACTIVATED", OTHER + 1))])
        take([process(2, "ELEMENT_ACTIVATED", OTHER + 2)])

        found = [one.instance.key for one in history.newest(1, before=OTHER + 1)]

        assert found == [ORDER]


class DueContract(RecordContract):
    """What is asked of a history that tells which jobs come again by themselves."""

    def test_a_job_that_is_silent_after_its_back_off_is_told_with_how_long_the_engine_wrote_on(
        self, take: Take, history: TellsWhatIsDue
    ) -> None:
        take([job(1, "CREATED"), job(2, "FAILED", retryBackoff=500, recurringTime=1502)])
        before = history.due_jobs()
        take([later(job(3, "CREATED", 8), 2_000), later(job(4, "CREATED", 9), 90_000)])

        (due,) = history.due_jobs()
        assert [one.since for one in before] == [0]
        assert (due.job, due.due, due.since) == (history.job(7), 1502, 88_001)

    def test_a_job_is_told_whose_lock_was_extended_and_has_ended(
        self, take: Take, history: TellsWhatIsDue
    ) -> None:
        take([job(1, "CREATED"), job(2, "TIMEOUT_UPDATED", deadline=1700)])
        take([later(job(3, "CREATED", 8), 2_000), later(job(4, "CREATED", 9), 90_000)])

        (due,) = history.due_jobs()
        assert (due.job.key, due.job.last, due.due, due.since) == (7, "CREATED", 1700, 88_001)

    @pytest.mark.parametrize("intent", ["RECURRED_AFTER_BACKOFF", "COMPLETED", "CANCELED"])
    def test_a_job_that_came_again_or_is_over_is_not_due(
        self, take: Take, history: TellsWhatIsDue, intent: str
    ) -> None:
        take([job(1, "FAILED", retryBackoff=500, recurringTime=1501)])
        take([job(2, "TIMEOUT_UPDATED", 8, deadline=1501)])
        take([job(3, intent), job(4, intent, 8)])

        assert history.due_jobs() == []

    def test_a_job_that_waits_for_a_person_or_a_worker_is_not_due(
        self, take: Take, history: TellsWhatIsDue
    ) -> None:
        take([job(1, "FAILED", retries=0), job(2, "FAILED", 8), job(3, "TIMED_OUT", 9)])

        assert history.due_jobs() == []

    def test_what_the_engine_wrote_while_the_back_off_lasted_does_not_count(
        self, take: Take, history: TellsWhatIsDue
    ) -> None:
        take([job(1, "FAILED", retryBackoff=100_000, recurringTime=101_001)])
        take([later(job(at, "CREATED", at), at * 10_000) for at in (2, 8, 9, 11)])

        assert [one.since for one in history.due_jobs()] == [0]

    def test_an_engine_that_was_away_when_a_job_was_due_is_not_blamed_for_that_time(
        self, take: Take, history: TellsWhatIsDue
    ) -> None:
        take([job(1, "FAILED", retryBackoff=500, recurringTime=1501)])

        take([later(job(2, "CREATED", 8), 600_000)])

        assert [one.since for one in history.due_jobs()] == [0]

    def test_what_another_partition_writes_says_nothing(
        self, take: Take, history: TellsWhatIsDue
    ) -> None:
        take([job(1, "FAILED", retryBackoff=500, recurringTime=1501)])
        take([in_partition(2, later(job(at, "CREATED", at), at * 90_000)) for at in (8, 9)])

        assert [one.since for one in history.due_jobs()] == [0]

    def test_what_an_earlier_life_made_of_a_job_says_nothing(
        self, take: Take, history: TellsWhatIsDue
    ) -> None:
        take([job(1, "FAILED", retryBackoff=500, recurringTime=1501), job(3, "COMPLETED")])

        take([later(job(2, "CREATED", 8), 90_000)])

        assert [one.job.key for one in history.due_jobs()] == [7]


_OF_OTHER = {
    "bpmnProcessId": "place_order",
    "version": 1,
    "processDefinitionKey": DEFINITION,
    "elementId": "place_order",
    "bpmnElementType": "PROCESS",
    "flowScopeKey": -1,
    "processInstanceKey": OTHER,
}
