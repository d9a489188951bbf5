"""The report in a real Chromium: what it shows, how fast, and that it asks nobody for anything."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sagaworks.history import MemoryHistory, each_known
from sagaworks.history.account import Account
from sagaworks.history.keeping.server import HistoryServer
from sagaworks.history.keeping.store import KeptHistory
from sagaworks.picture.browser import Page, opened
from sagaworks.picture.paint import PAINTS
from sagaworks.report import Gathering, page
from sagaworks.report.of_history import gather, show_project
from tests.pictures.conftest import Seen
from tests.pictures.crowd import crowd, real_ones
from tests.pictures.orders import KEYS, PLACE_ORDER, ROOT, history, records

VENDORED = ROOT / "sagaworks" / "report" / "bpmn_js"
LARGEST = 5_000_000
"""Bytes of a report on ten thousand sagas."""

SETTLED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"

Show = Callable[..., Page]


@pytest.fixture(scope="module")
def browser(browser_program: Path) -> Iterator[Page]:
    with opened(browser_program) as page:
        page.resize(1400, 900)
        yield page


@pytest.fixture
def show(browser: Page, tmp_path: Path) -> Show:
    """Open a report, and wait until it's painted."""

    def show(gathering: Gathering, title: str = "Saga report", **media: str) -> Page:
        file = tmp_path / "report.html"
        file.write_text(page(gathering, title))
        features = [{"name": name.replace("_", "-"), "value": to} for name, to in media.items()]
        browser.call("Emulation.setEmulatedMedia", features=features)
        browser.show(file.as_uri())
        browser.ask(
            "(async () => { while (!document.documentElement.dataset.ready) await "
            f"{SETTLED}; }})()"
        )
        return browser

    return show


@pytest.fixture
def nine(show: Show) -> Page:
    return show(real_ones())


def choose(page: Page, key: str) -> None:
    """Click a saga in the list, and wait until its way is painted."""
    page.ask(
        f"""(async () => {{
        const rows = [...document.querySelectorAll('.saga')];
        rows.find((one) => one.firstChild.textContent === '{key}').click();
        while (document.documentElement.dataset.painted !== '{key}') await {SETTLED};
    }})()"""
    )


def press(page: Page, *keys: str) -> None:
    for key in keys:
        for kind in ("rawKeyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)
        page.ask(SETTLED)


def texts(page: Page, selector: str) -> list[str]:
    script = f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.textContent)"
    found: list[str] = page.ask(script)
    return found


def fill(page: Page, id_: str) -> str:
    return colour(page, id_, "fill")


def colour(page: Page, id_: str, what: str) -> str:
    """The computed colour of an element in the diagram, as `#rrggbb`."""
    shape = f"""document.querySelector('[data-element-id="{id_}"] .djs-visual > :not(defs)')"""
    said = page.ask(f"getComputedStyle({shape}).{what}")
    red, green, blue = map(int, re.findall(r"\d+", said)[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


def badges(page: Page) -> list[str]:
    return texts(page, ".badge")


def test_it_opens_with_all_sagas_and_how_often_each_element_ran(nine: Page) -> None:
    assert texts(nine, "#whose") == ["9 sagas: 23/25 elements, 13/13 flows, 3/4 compensations"]
    assert texts(nine, ".saga > span:first-child") == list(KEYS)
    assert {"9", "8", "7"} <= set(badges(nine))


def test_a_saga_that_is_clicked_shows_its_way(nine: Page) -> None:
    choose(nine, "no-carrier")

    assert texts(nine, "#whose") == ["no-carrier: undone"]
    assert "4 NO_CARRIER" in badges(nine)
    assert fill(nine, "book_shipment") == PAINTS["refused"].fill
    assert fill(nine, "hold_stock") == PAINTS["undone"].fill
    assert fill(nine, "ship_stock") == "#ffffff"
    steps = texts(nine, "#tables tbody td:nth-child(2)")
    assert steps[:4] == ["Accept order", "Hold stock", "Charge card", "Book shipment"]
    assert steps[-1] == "Reject order"
    assert "0 incidents" in texts(nine, "#tables p")[0]


def test_flows_that_were_taken_are_painted_and_others_not(nine: Page) -> None:
    choose(nine, "no-carrier")

    assert colour(nine, "charge_card_to_book_shipment", "stroke") == PAINTS["done"].line
    assert colour(nine, "refund_the_card_to_release_the_stock", "stroke") == PAINTS["undone"].line
    assert colour(nine, "confirm_order_to_ship_stock", "stroke") == "#22242a"


def test_a_saga_that_is_stuck_says_by_what_but_never_with_which_value(nine: Page) -> None:
    choose(nine, "stuck")

    assert "3 incident" in badges(nine)
    assert texts(nine, "#tables table:last-child td") == [
        "Charge card",
        "EXTRACT_VALUE_ERROR",
        "open",
    ]
    assert "nonsense" not in nine.ask("document.documentElement.outerHTML")


def test_it_is_seen_in_pixels(nine: Page) -> None:
    choose(nine, "overdue")
    box = nine.ask(
        """(() => { const box = document.querySelector('[data-element-id="charge_card"] rect')
        .getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; })()"""
    )
    seen = Seen.of(nine.picture())

    x, y, width, height = box
    assert seen.at(x + width * 0.2, y + height * 0.8) == PAINTS["taken_away"].fill


def test_the_mark_of_bpmn_js_is_whole_and_covered_by_nothing(nine: Page) -> None:
    """Its licence asks for it."""
    on_top = nine.ask(
        """(() => { const mark = document.querySelector('.bjs-powered-by');
        mark.scrollIntoView({block: 'nearest'});
        const box = mark.getBoundingClientRect();
        const places = [[.1, .1], [.5, .5], [.9, .9], [.1, .9], [.9, .1]];
        return places.map(([x, y]) => mark.contains(
          document.elementFromPoint(box.x + box.width * x, box.y + box.height * y))); })()"""
    )
    style = nine.ask("getComputedStyle(document.querySelector('.bjs-powered-by')).opacity")

    assert on_top == [True] * 5
    assert style == "1"


def test_what_is_typed_finds_by_key_and_by_error_code(nine: Page) -> None:
    def find(what: str) -> list[str]:
        nine.ask(
            f"""(async () => {{ const search = document.getElementById('search');
            search.value = '{what}'; search.dispatchEvent(new Event('input'));
            await new Promise((done) => setTimeout(done, 150)); await {SETTLED}; }})()"""
        )
        return texts(nine, ".saga > span:first-child")

    assert find("ship") == ["shipped"]
    assert find("card_declined") == ["declined"]
    assert find("nobody") == []
    assert not nine.ask("document.getElementById('empty').hidden")


def test_a_fate_that_is_pressed_shows_only_its_sagas(nine: Page) -> None:
    nine.ask(f"document.querySelector('[data-fate=undone]').click(), {SETTLED}")

    assert set(texts(nine, ".saga .fate")) == {"undone"}
    assert texts(nine, "#whose")[0].startswith("5 sagas: ")


def test_a_step_of_the_table_shows_the_sagas_that_went_through_it(nine: Page) -> None:
    nine.ask(
        f"""[...document.querySelectorAll('td button')]
        .find((one) => one.textContent === 'Refund card').click(), {SETTLED}"""
    )

    assert texts(nine, ".saga > span:first-child") == ["no-carrier"]


def test_how_long_steps_took_is_told_by_median_and_p99(nine: Page) -> None:
    nine.ask(f"document.querySelector('[data-view=time]').click(), {SETTLED}")
    took = sorted(
        one.ended - one.began
        for known in each_known(history()._account)
        for one in known.elements
        if one.id == "hold_stock" and one.ended is not None
    )
    median = took[(len(took) + 1) // 2 - 1]

    assert f"{median} ms / {took[-1]} ms" in badges(nine)


def test_coverage_says_what_was_never_gone_through(nine: Page) -> None:
    nine.ask(f"document.querySelector('[data-view=coverage]').click(), {SETTLED}")

    assert fill(nine, "cancel_shipment") == PAINTS["missed"].fill
    assert fill(nine, "refund_card") == PAINTS["covered"].fill
    assert fill(nine, "cancel_the_shipment") == PAINTS["partly"].fill
    assert "0/1" in badges(nine)


def test_it_is_used_by_keyboard_alone(nine: Page) -> None:
    press(nine, "/")
    assert nine.ask("document.activeElement.id") == "search"

    press(nine, "ArrowDown")
    assert nine.ask("document.activeElement.id") == "list"
    assert texts(nine, "#whose") == ["shipped: done"]

    press(nine, "End")
    assert texts(nine, "#whose") == ["stuck: stuck"]
    chosen = "document.getElementById(document.getElementById('list').getAttribute"
    assert nine.ask(f"{chosen}('aria-activedescendant')).textContent").startswith("stuck")

    press(nine, "ArrowUp")
    assert texts(nine, "#whose") == ["cancelled: cancelled"]

    press(nine, "Escape")
    assert texts(nine, "#whose")[0].startswith("9 sagas")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(show: Show, scheme: str) -> None:
    """By at least 4.5 to 1, as WCAG 2.2 (1.4.3) asks."""
    page = show(real_ones(), prefers_color_scheme=scheme)
    choose(page, "shipped")
    pairs = page.ask(
        """(() => {
        const ground = (one) => {
          const colour = getComputedStyle(one).backgroundColor;
          return /, 0\\)$/.test(colour) && one.parentElement ? ground(one.parentElement) : colour;
        };
        const words = 'h1, h2, h3, p, th, td, .saga *, button, #legend li, .badge, summary';
        return [...document.querySelectorAll(words)]
          .filter((one) => one.textContent.trim() && !one.disabled)
          .map((one) => [getComputedStyle(one).color, ground(one), one.textContent]); })()"""
    )

    assert len(pairs) > 30
    assert [pair for pair in pairs if contrast(*pair[:2]) < 4.5] == []


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(found) / 255 for found in re.findall(r"\d+", colour)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(share * p for share, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def busy_seconds(page: Page) -> float:
    """How long the page's own thread has worked, in time of the processor: others don't count."""
    metrics = page.call("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in metrics if one["name"] == "TaskDuration")


def test_ten_thousand_sagas_are_small_open_at_once_scroll_smoothly_and_are_found(
    browser: Page, show: Show
) -> None:
    """Smoothly: each of sixty pictures a second has 16 ms."""
    many = crowd(10_000)
    assert len(page(many, "Saga report").encode()) < LARGEST
    browser.call("Performance.enable", timeDomain="threadTicks")
    shown = show(many)
    assert busy_seconds(shown) < 3
    assert len(texts(shown, ".saga")) < 60

    before = busy_seconds(shown)
    shown.ask(
        """(async () => { const list = document.getElementById('list');
        for (let at = 0; at < 60; at += 1) {
          list.scrollTop = at * 7000;
          await new Promise(requestAnimationFrame);
        } })()"""
    )
    assert (busy_seconds(shown) - before) / 60 < 0.016

    before = busy_seconds(shown)
    shown.ask(
        f"""(async () => {{ const search = document.getElementById('search');
        search.value = 'no_carrier'; search.dispatchEvent(new Event('input'));
        const summary = document.getElementById('summary');
        while (!/ 5\\d\\d shown/.test(summary.textContent)) await {SETTLED};
        await {SETTLED}; }})()"""
    )
    assert busy_seconds(shown) - before < 0.3


def test_it_asks_nobody_for_anything(browser: Page, show: Show) -> None:
    browser.call("Network.enable")
    shown = show(real_ones())
    asked = shown.ask("performance.getEntriesByType('resource').map((one) => one.name)")
    policy = shown.ask("document.querySelector('meta[http-equiv]').content")
    tried = shown.ask("fetch('data:,').then(() => 'fetched', () => 'refused')")

    assert asked == []
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert tried == "refused"


def test_names_are_text_and_never_markup(show: Show) -> None:
    wicked = "</script><img src=x onerror='document.title=\"hacked\"'>"
    gathering = Gathering()
    for known in each_known(history()._account):
        gathering.see(known, PLACE_ORDER.read_bytes(), wicked)
    shown = show(gathering, title=f"Report {wicked}")

    assert texts(shown, ".saga small:nth-of-type(1)")[0] == wicked
    assert texts(shown, "h1") == [f"Report {wicked}"]
    assert shown.ask("document.querySelectorAll('img').length") == 0


def test_sagas_whose_diagram_is_not_known_are_listed_all_the_same(show: Show) -> None:
    gathering = Gathering()
    for known in each_known(history()._account):
        gathering.see(known, b"")
    shown = show(gathering)

    assert len(texts(shown, ".saga")) == len(KEYS)
    assert "isn't known" in texts(shown, "#canvas")[0]


def test_each_diagram_can_be_chosen_those_without_a_saga_too(show: Show, tmp_path: Path) -> None:
    other = tmp_path / "book_seat.bpmn"
    other.write_text(PLACE_ORDER.read_text().replace("place_order", "book_seat"))
    gathering = real_ones()
    broken = tmp_path / "broken.bpmn"
    broken.write_text("no")

    assert len(show_project(gathering, [PLACE_ORDER, other, broken])) == 1
    shown = show(gathering)
    assert texts(shown, "#diagram option") == ["place_order", "book_seat"]
    shown.ask(
        f"""(async () => {{ const diagram = document.getElementById('diagram'); diagram.value = '1';
        diagram.dispatchEvent(new Event('change'));
        const whose = document.getElementById('whose');
        while (!/^0 sagas/.test(whose.textContent)) await {SETTLED}; }})()"""
    )
    assert texts(shown, "#whose") == ["0 sagas: 0/25 elements, 0/13 flows, 0/4 compensations"]


def test_an_empty_report_says_so(show: Show) -> None:
    assert texts(show(Gathering()), "#whose") == ["No saga was seen, and no diagram."]


# Without a browser.


def plain(gathering: Gathering) -> list[Any]:
    """What a report shows of each saga, without the numbers that it's packed by."""
    data = gathering.as_data()
    shown = []
    for key, shape, began, took, times, note in data["sagas"]:
        number, fate, incidents, runs, flows, undos = data["shapes"][shape]
        ids, words = data["diagrams"][number]["ids"], data["texts"]
        shown.append(
            (
                *(key, began, took, times, words[note], words[fate]),
                [(ids[id_], words[kind], resolved) for id_, kind, resolved in incidents],
                [(ids[id_], words[state], words[code], pace) for id_, state, code, pace in runs],
                sorted((ids[id_], n) for id_, n in flows),
                sorted((ids[a], ids[b], n) for a, b, n in undos),
            )
        )
    return shown


def test_what_other_processes_gathered_adds_up() -> None:
    """As with pytest-xdist: each has its own numbers for the same things."""
    accounts = [*each_known(history()._account)]
    mine, theirs = Gathering(), Gathering()
    for known in accounts[:4]:
        mine.see(known, PLACE_ORDER.read_bytes(), "one")
    for known in reversed(accounts[4:]):
        theirs.see(known, PLACE_ORDER.read_bytes(), "two")
    mine.merge(json.loads(json.dumps(theirs.as_data())))

    whole = Gathering()
    for known in accounts[:4]:
        whole.see(known, PLACE_ORDER.read_bytes(), "one")
    for known in reversed(accounts[4:]):
        whole.see(known, PLACE_ORDER.read_bytes(), "two")
    assert plain(mine) == plain(whole)
    assert len(mine.as_data()["diagrams"]) == 1


def test_no_value_of_a_variable_is_in_it() -> None:
    data = json.dumps(real_ones().as_data())

    assert "nonsense" not in data
    assert "lamp" not in data


def test_what_history_keeps_is_reported_newest_first_and_no_more_than_asked(
    tmp_path: Path,
) -> None:
    """Over HTTP, as `sagaworks history` keeps and tells it."""
    kept = KeptHistory(f"sqlite:///{tmp_path / 'history.db'}")
    kept.prepare()
    kept.take([*records()])
    server = HistoryServer(kept)
    try:
        from sagaworks.history import HttpHistory

        asked = HttpHistory(server.url)
        whole, part = gather(asked, 100), gather(asked, 2)
        asked.close()
    finally:
        server.close()
        kept.close()

    assert {one[0] for one in plain(whole)} == set(KEYS)
    assert sorted(plain(whole), key=str) == sorted(plain(real_ones()), key=str)
    assert [one[0] for one in plain(part)] == ["stuck", "cancelled"]


def test_only_the_sagas_of_these_keys_are_reported() -> None:
    told = MemoryHistory()
    for record in records():
        told.take(record)

    assert {one[0] for one in plain(gather(told, 100, keys=["shipped", "stuck"]))} == {
        "shipped",
        "stuck",
    }


def test_an_account_without_sagas_is_an_empty_report() -> None:
    gathering = Gathering()
    gathering.see_all(Account())

    assert len(gathering) == 0


def test_bpmn_js_is_as_it_was_published() -> None:
    """What SOURCE.md says of each file is true, and its licence stands beside it."""
    said = (VENDORED / "SOURCE.md").read_text()
    stated = dict(re.findall(r"\| `(\S+)` \| `([0-9a-f]{64})` \|", said))

    assert len(stated) == 4
    for name, digest in stated.items():
        assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == digest
    assert "the watermark must stay fully visible" in (VENDORED / "LICENSE").read_text()
