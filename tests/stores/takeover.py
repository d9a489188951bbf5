"""The contract of effects that no row tells of: their undo is loud, and a person can settle it."""

from collections.abc import Mapping

import pytest
from sqlalchemy import select

from sagaworks import Halt, Service
from sagaworks.ledger.answers import Outcome, Say
from sagaworks.ledger.rows import State
from sagaworks.ledger.tables import saga as saga_table
from tests.stores import shop
from tests.stores.shop import carrier
from tests.stores.steps import LAMP
from tests.stores.world import World

moved = Service("shop")
"""The same steps, which plain pyzeebe carried out until yesterday."""

hold_stock = moved.step(taken_over=True)(shop.hold_stock.function)
release_stock = hold_stock.compensation(shop.release_stock.function)
pack_line = moved.step(taken_over=True, each="line")(shop.pack_line.function)
unpack_line = pack_line.compensation(shop.unpack_line.function)

NO_ROW = "this ledger has no row of it in saga 'order-42'"
BY_HAND = {"saga_undone_by_hand": "hold_stock"}


def sagas(world: World) -> list[str]:
    """The sagas that this service has heard of."""
    with world.store.reading() as connection:
        return [*connection.execute(select(saga_table.c.saga_key)).scalars()]


class TakeoverContract:
    # A saga that this service has never heard of.

    def test_the_undo_of_an_unknown_saga_halts_and_keeps_nothing(self, world: World) -> None:
        with pytest.raises(Halt, match=NO_ROW):
            world.deliver(shop.release_stock, job=2)

        assert world.rows == []
        assert sagas(world) == []

    def test_it_is_as_loud_the_next_time(self, world: World) -> None:
        for job in (2, 2, 3):
            with pytest.raises(Halt, match=NO_ROW):
                world.deliver(shop.release_stock, job=job)

    def test_a_call_to_undo_in_an_unknown_saga_isnt_made(self, world: World) -> None:
        with pytest.raises(Halt, match=NO_ROW):
            world.deliver(shop.cancel_shipment, job=2)

        assert carrier.calls == []

    def test_a_loop_over_an_empty_list_has_nothing_to_undo(self, world: World) -> None:
        """The engine completes it and asks for its undo, and no run ever was."""
        answer = world.deliver(shop.unpack_line, job=2, headers={"undo": "all"})

        assert (answer.outcome, answer.say) == (Outcome.NULL_COMPENSATION, Say.COMPLETE)

    # A step that other code carried out before.

    def test_a_step_taken_over_halts_at_an_undo_without_a_row(self, world: World) -> None:
        """Another step of the service has made the saga known; that alone says nothing of this."""
        world.deliver(pack_line, {"line": "a"}, job=1)

        with pytest.raises(Halt, match=NO_ROW):
            world.deliver(release_stock, job=2)

        assert [row.state for row in world.rows] == [State.OPEN]

    def test_its_own_effects_are_undone_as_ever(self, world: World) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)

        answer = world.deliver(release_stock, job=2)

        assert answer.outcome is Outcome.COMPENSATED
        assert world.deliver(release_stock, job=2).outcome is Outcome.REPLAYED
        assert world.available == 3

    def test_a_row_that_says_there_is_no_effect_is_believed(self, world: World) -> None:
        world.stock(count=0)
        world.deliver(hold_stock, LAMP, job=1)

        assert world.deliver(release_stock, job=2).outcome is Outcome.NULL_COMPENSATION

    def test_of_a_loop_the_run_without_a_row_halts(self, world: World) -> None:
        world.deliver(pack_line, {"line": "b"}, job=1)

        with pytest.raises(Halt, match="pack_line was completed for 'a', but this ledger has no"):
            world.deliver(unpack_line, {"line": "a"}, job=2)

        assert world.deliver(unpack_line, {"line": "b"}, job=3).outcome is Outcome.COMPENSATED
        assert world.parcels == 0

    # What a person does.

    @pytest.mark.parametrize("said", ["hold_stock", ["pack_line", "hold_stock"]], ids=str)
    def test_a_person_who_has_undone_it_says_so_by_a_variable(
        self, world: World, said: object
    ) -> None:
        answer = world.deliver(release_stock, {"saga_undone_by_hand": said}, job=2)

        assert (answer.outcome, answer.say) == (Outcome.NULL_COMPENSATION, Say.COMPLETE)
        assert world.states == [(1, State.FENCE)]
        assert world.deliver(release_stock, job=2).outcome is Outcome.REPLAYED

    def test_it_works_in_an_unknown_saga_too(self, world: World) -> None:
        assert world.deliver(shop.release_stock, BY_HAND, job=2).outcome is (
            Outcome.NULL_COMPENSATION
        )

    @pytest.mark.parametrize("said", ["pack_line", "hold", "hold_stock_too", [], True, None, {}])
    def test_what_names_another_step_settles_nothing(self, world: World, said: object) -> None:
        with pytest.raises(Halt, match=NO_ROW):
            world.deliver(release_stock, {"saga_undone_by_hand": said}, job=2)

    def test_a_row_is_undone_whatever_the_variable_says(self, world: World) -> None:
        world.stock(count=3)
        world.deliver(hold_stock, LAMP, job=1)

        assert world.deliver(release_stock, BY_HAND, job=2).outcome is Outcome.COMPENSATED
        assert world.available == 3

    @pytest.mark.parametrize("variables", [None, BY_HAND], ids=["silence", "by hand"])
    def test_a_step_itself_never_halts_for_it(
        self, world: World, variables: Mapping[str, object] | None
    ) -> None:
        world.stock()

        answer = world.deliver(hold_stock, {**LAMP, **(variables or {})}, job=1)

        assert answer.outcome is Outcome.EXECUTED
