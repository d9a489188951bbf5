import pytest

from workers.__main__ import main


@pytest.mark.parametrize("arguments", [[], ["orders", "inventory"], ["--help"]])
def test_anything_but_one_service_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m workers SERVICE")


def test_an_unknown_service_is_told_in_one_line_with_the_nearest_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["inventry"]) == 1

    said = capsys.readouterr().err
    assert "inventory" in said
    assert said.count("\n") == 1
