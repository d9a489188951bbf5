"""Groups are as large as is quick, and smaller for a while after one that broke."""

from sagaworks.runtime.pace import Pace


def test_nothing_is_taken_in_advance_before_the_first_job_is_measured() -> None:
    pace = Pace(16)

    assert pace.portion == 1
    assert pace.fitting(10) == 0


def test_quick_jobs_are_taken_by_as_many_as_allowed() -> None:
    pace = Pace(16)
    pace.measure(0.001)

    assert pace.portion == 16


def test_slow_jobs_are_never_grouped() -> None:
    pace = Pace(16)
    pace.measure(0.04)

    assert pace.portion == 1


def test_what_fits_follows_the_mean_and_the_newest_weigh_a_tenth() -> None:
    pace = Pace(64)
    pace.measure(0.01)
    pace.measure(0.02)

    assert round(1 / pace.fitting(1), 4) == 0.011


def test_a_broken_group_halves_those_to_come_until_they_go_well_again() -> None:
    pace = Pace(16)
    pace.measure(0.001)
    portions = []
    for _ in range(5):
        pace.broke()
        portions.append(pace.portion)
    for _ in range(20):
        pace.went_well()

    assert portions == [8, 4, 2, 1, 1]
    assert pace.portion == 16
