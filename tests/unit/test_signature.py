"""What a function's signature asks for, and what can't be asked for."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import pytest
import sqlalchemy.orm
from pydantic import BaseModel, Field
from sqlmodel import Session, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from sagaworks import ContractError, Saga
from sagaworks.signature import fact_of, read_signature
from tests.stores.shop import Shelf, StockHeld

if TYPE_CHECKING:
    from fractions import Fraction


def refusal_of(function: Callable[..., object]) -> str:
    with pytest.raises(ContractError) as refused:
        read_signature(function, "shop.hold")
    said = str(refused.value)
    assert said.startswith("shop.hold: ")
    assert "\n" not in said
    return said.removeprefix("shop.hold: ")


def test_each_parameter_is_given_by_its_type() -> None:
    def hold(session: Session, sku: str, me: Saga, quantity: int = 1) -> StockHeld: ...

    signature = read_signature(hold, "shop.hold")

    assert (signature.session, signature.saga) == ("session", "me")
    assert signature.returns is StockHeld
    assert [(v.name, v.type_name, v.required) for v in signature.variables.values()] == [
        ("sku", "str", True),
        ("quantity", "int", False),
    ]


def test_sqlalchemys_own_session_is_a_session() -> None:
    def hold(db: sqlalchemy.orm.Session) -> None: ...

    assert read_signature(hold, "shop.hold").session == "db"


def test_annotations_that_are_text_are_read() -> None:
    class Local(BaseModel):
        sku: str

    def hold(session: "Session", line: "Local", due: "date | None" = None) -> "Local": ...

    signature = read_signature(hold, "shop.hold")

    assert signature.session == "session"
    assert signature.variables["line"].annotation is Local
    assert signature.variables["due"].annotation == date | None
    assert signature.returns is Local


def test_a_narrowed_type_is_called_by_its_own_name() -> None:
    def pay(amount: Annotated[Decimal, Field(gt=0)]) -> None: ...

    assert read_signature(pay, "shop.pay").variables["amount"].type_name == "Decimal"


def test_constraints_in_an_annotation_are_kept() -> None:
    some = Annotated[int, Field(gt=0)]

    def hold(session: Session, quantity: some) -> None: ...  # type: ignore[valid-type]

    assert read_signature(hold, "shop.hold").variables["quantity"].annotation == some


@pytest.mark.parametrize("annotation", [None, "None", type(None)])
def test_nothing_returned_is_nothing(annotation: object) -> None:
    def hold(session: Session) -> object: ...

    hold.__annotations__["return"] = annotation

    assert read_signature(hold, "shop.hold").returns is None


def test_parameters_by_keyword_only_are_variables_too() -> None:
    def hold(session: Session, *, sku: str) -> None: ...

    assert list(read_signature(hold, "shop.hold").variables) == ["sku"]


def test_a_parameter_without_a_type_is_refused() -> None:
    def hold(session: Session, sku) -> None: ...  # type: ignore[no-untyped-def]

    assert refusal_of(hold) == "parameter `sku` has no type; annotate it"


def test_parameters_that_take_any_number_are_refused() -> None:
    def hold(session: Session, *skus: str) -> None: ...
    def hold_all(session: Session, **skus: str) -> None: ...
    def hold_first(sku: str, /, session: Session) -> None: ...

    assert refusal_of(hold).startswith("`*skus: str`")
    assert refusal_of(hold_all).startswith("`**skus: str`")
    assert refusal_of(hold_first).startswith("`sku: str`")


def test_an_annotation_only_for_type_checkers_is_refused_with_the_remedy() -> None:
    def hold(session: Session, share: "Fraction") -> None: ...

    assert refusal_of(hold) == (
        "annotation `Fraction` is unknown when the module runs; import it outside"
        " `if TYPE_CHECKING`"
    )


def test_what_is_no_data_is_refused() -> None:
    class Connection: ...

    def hold(session: Session, connection: Connection) -> None: ...
    def hold_maybe(session: Session | None) -> None: ...

    assert "`connection: " in refusal_of(hold)
    assert "can't be read from JSON" in refusal_of(hold_maybe)


def test_the_librarys_own_variables_are_refused() -> None:
    def hold(session: Session, saga_key: str) -> None: ...

    assert refusal_of(hold) == "`saga_key` is the library's; take a `Saga` parameter instead"


def test_two_sessions_are_refused() -> None:
    def hold(session: Session, other: Session) -> None: ...
    def hold_twice(session: Session, me: Saga, self: Saga) -> None: ...

    assert refusal_of(hold) == "`session` and `other` ask for the same; take one of them"
    assert refusal_of(hold_twice) == "`me` and `self` ask for the same; take one of them"


def test_an_async_function_takes_a_session_that_is_awaited() -> None:
    async def hold(session: AsyncSession, quantity: int) -> None: ...

    read = read_signature(hold, "shop.hold")

    assert (read.is_async, read.session, [*read.variables]) == (True, "session", ["quantity"])


def test_the_session_must_be_of_the_functions_kind() -> None:
    async def hold(session: Session) -> None: ...

    def release(session: AsyncSession) -> None: ...

    assert refusal_of(hold) == "an `async def` takes `AsyncSession`, not `Session`"
    assert refusal_of(release) == "takes `AsyncSession`; declare it `async def`"


# Facts.


def fact(annotation: object) -> type[BaseModel] | None:
    def hold(session: Session) -> object: ...

    hold.__annotations__["return"] = annotation
    return fact_of(read_signature(hold, "shop.hold"), "shop.hold")


def test_a_model_is_a_fact_and_so_is_nothing() -> None:
    class Plain(BaseModel):
        amount: Decimal

    assert fact(Plain) is Plain
    assert fact(StockHeld) is StockHeld
    assert fact(None) is None


@pytest.mark.parametrize("annotation", [int, dict, list[StockHeld], StockHeld | None, "int"])
def test_what_is_no_model_is_no_fact(annotation: object) -> None:
    with pytest.raises(ContractError, match="a fact is a SQLModel or pydantic model"):
        fact(annotation)


def test_a_table_is_no_fact() -> None:
    with pytest.raises(ContractError, match="returns the table Shelf; a fact is a plain model"):
        fact(Shelf)
    assert issubclass(Shelf, SQLModel)
