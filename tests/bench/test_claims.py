"""A promise is broken only where the rounds exclude it, and slow rounds slow both sides."""

import pytest

from bench.claims import CLAIMS, Claim, Verdict, judge, ratio
from bench.intervals import Median
from bench.subjects.listed import BY_NAME
from tests.bench.samples import made_up, row

OVER_DEFAULTS = ratio("sagaworks", "pyzeebe-defaults", "saturated", "per_second")


def verdict(low: float, value: float, high: float, *, at_least: bool) -> Verdict:
    claim = Claim("faster", OVER_DEFAULTS, 15.0, at_least=at_least)
    return Verdict(claim, Median(value, low, high, 0.97, 10))


def test_a_ratio_is_formed_within_each_round() -> None:
    results = made_up(
        3,
        sagaworks={"per_second": [90, 45, 9]},
        pyzeebe_defaults={"per_second": [6, 3, 0.6]},
    )

    assert [round(one, 9) for one in OVER_DEFAULTS(results).values()] == [15, 15, 15]


def test_a_round_that_lacks_one_side_counts_for_neither() -> None:
    results = made_up(2)
    results.rows = [
        one for one in results.rows if (one.round, one.subject) != (1, "pyzeebe-defaults")
    ]

    assert list(OVER_DEFAULTS(results)) == [2]


def test_a_round_in_which_nothing_ended_is_no_divisor() -> None:
    results = made_up(2, pyzeebe_defaults={"per_second": [0.0, 2.0]})

    assert OVER_DEFAULTS(results) == {2: 0.5}


def test_a_promise_within_the_interval_passes_but_not_clearly() -> None:
    seen = verdict(13, 14.5, 16, at_least=True)

    assert (seen.word, seen.median_keeps_it, seen.clear) == ("PASS", False, False)


def test_a_promise_beyond_the_interval_fails() -> None:
    assert verdict(13, 14, 14.9, at_least=True).word == "FAIL"
    assert verdict(15.1, 16, 17, at_least=False).word == "FAIL"


def test_a_promise_kept_by_the_whole_interval_is_clear() -> None:
    assert verdict(15.1, 16, 17, at_least=True).clear
    assert verdict(13, 14, 14.9, at_least=False).clear


def test_every_promise_of_the_rounds_is_judged() -> None:
    words = [seen.word for seen in judge(made_up())]

    assert words.count("not measured") == 2  # the soak's
    assert len(words) == len(CLAIMS)


def test_nothing_is_judged_that_wasnt_measured() -> None:
    results = made_up()
    results.rows = [row(1, "no-op", "saturated")]

    assert {seen.word for seen in judge(results)} == {"not measured"}


@pytest.mark.parametrize("promise, seen, bare", [("alone", 70, 110), ("as installed", 85, 130)])
def test_what_a_bare_worker_reaches_stands_beside_a_promise(
    promise: str, seen: int, bare: int
) -> None:
    results = made_up(
        3,
        sagaworks={"per_second": [80, 90, 85]},
        sagaworks_ungrouped={"per_second": [60, 80, 70]},
        bare_step={"per_second": [100, 120, 110]},
        bare_group={"per_second": [120, 140, 130]},
        no_op={"per_second": [160, 160, 160]},
    )

    found = next(one for one in judge(results) if promise in one.claim.text)

    assert found.seen
    assert found.bare
    assert (found.seen.value, found.bare.value) == (seen / 160, bare / 160)


def test_what_is_judged_is_what_is_installed() -> None:
    assert not BY_NAME["sagaworks"].environ
    assert set(BY_NAME["sagaworks"].loads) == {"open", "saturated"}
