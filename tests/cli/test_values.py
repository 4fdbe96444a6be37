"""Durations and counts."""

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from logpx.cli.values import parse_count, parse_duration


@given(st.integers(0, 99), st.integers(0, 99), st.integers(1, 99))
def test_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int):
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == 3600 * hours + 60 * minutes + seconds


@pytest.mark.parametrize(("text", "seconds"), [("2", 2), ("0.5s", 0.5), (" 10M ", 600), ("1h30m", 5400)])
def test_duration(text: str, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "m", "10 minutes", "-5s", "1d", "5m1h", "nan", "inf", f"{'9' * 400}h"]
)
def test_no_duration(text: str):
    with pytest.raises(typer.BadParameter):
        parse_duration(text)


@given(st.integers(0, 10**15))
def test_count_of_digits(number: int):
    assert parse_count(str(number)) == parse_count(f"{number:_}") == number


@pytest.mark.parametrize(("text", "number"), [("1e6", 10**6), ("2.5e3", 2500), ("0", 0), ("1E2", 100)])
def test_count(text: str, number: int):
    assert parse_count(text) == number


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e-3", "many", "inf", "nan", "1e400", "-1e3"])
def test_no_count(text: str):
    with pytest.raises(typer.BadParameter):
        parse_count(text)
