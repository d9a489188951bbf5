"""A shop of three steps in one service, as small as a real one gets."""

from itertools import pairwise

from sqlmodel import Field, Session, SQLModel

from sagaworks import Service

till = Service("till")


class Sale(SQLModel, table=True):
    """One sale, in the till's own table."""

    __tablename__ = "bench_sales"

    key: int | None = Field(default=None, primary_key=True)
    article: str


class ArticleTaken(SQLModel):
    """The article is off the shelf."""

    article: str


class MoneyTaken(SQLModel):
    """The money is in the till."""

    cents: int


@till.step
def take_article(session: Session, article: str) -> ArticleTaken:
    """Take the article off the shelf."""
    session.add(Sale(article=article))
    return ArticleTaken(article=article)


@take_article.compensation
def return_article(session: Session, taken: ArticleTaken) -> None:
    """Put it back."""


@till.step
def take_money(session: Session, cents: int) -> MoneyTaken:
    """Take the money."""
    return MoneyTaken(cents=cents)


@take_money.compensation
def return_money(session: Session, taken: MoneyTaken) -> None:
    """Give it back."""


@till.step(kind="pivot")
def hand_over(session: Session, article_taken: ArticleTaken) -> None:
    """Hand the article to the customer."""


def _task(number: int, name: str) -> str:
    return f"""
    <serviceTask id="{name}"><extensionElements>
      <zeebe:taskDefinition type="till.{name}"/></extensionElements>
      <incoming>f{number}</incoming><outgoing>f{number + 1}</outgoing></serviceTask>"""


def _flow(number: int, source: str, target: str) -> str:
    return f'<sequenceFlow id="f{number}" sourceRef="{source}" targetRef="{target}"/>'


_STEPS = ("take_article", "take_money", "hand_over")
_WAY = ("begun", *_STEPS, "sold")

DIAGRAM = f"""<?xml version="1.0"?>
<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"
    xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="bench">
  <process id="sell" isExecutable="true">
    <startEvent id="begun"><outgoing>f0</outgoing></startEvent>
    {"".join(_task(number, name) for number, name in enumerate(_STEPS))}
    <endEvent id="sold"><incoming>f3</incoming></endEvent>
    {"".join(_flow(number, *pair) for number, pair in enumerate(pairwise(_WAY)))}
  </process>
</definitions>
"""
