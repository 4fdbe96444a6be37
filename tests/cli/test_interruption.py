"""A first signal is a wish, a second one an order, and an order comes if the wish takes too long."""

import contextlib
import signal
import time

import pytest

from logpx.cli import interruption
from logpx.cli.interruption import Interrupted, raise_on_termination, stop_on_signal


@pytest.fixture(autouse=True)
def heard_hang_up():
    """Hear SIGHUP, even if the tests were started by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signal_raises(number: int):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as info, raise_on_termination():
        signal.raise_signal(number)
    assert info.value.exit_code == 128 + number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_closed_connection_asks_to_stop(number: int):
    with stop_on_signal() as stop:
        signal.raise_signal(number)
        assert stop.requested()
        assert stop.exit_code == 128 + number


def test_signal_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raise_on_termination(), stop_on_signal() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.requested()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_first_signal_asks_and_second_ends():
    with pytest.raises(Interrupted) as info, stop_on_signal() as stop:  # noqa: PT012
        assert not stop.requested()
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested()
        assert stop.exit_code == 143
        signal.raise_signal(signal.SIGINT)
    assert info.value.exit_code == 143


def test_wish_becomes_an_order_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interruption, "_GRACE_SECONDS", 0.1)
    start = time.monotonic()
    with pytest.raises(Interrupted), stop_on_signal():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        time.sleep(20)
    assert time.monotonic() - start < 10


def test_lost_exception_is_raised_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interruption, "_GRACE_SECONDS", 0.1)
    start = time.monotonic()
    with pytest.raises(Interrupted) as info, raise_on_termination():  # noqa: PT012
        with contextlib.suppress(Interrupted):
            signal.raise_signal(signal.SIGTERM)
        time.sleep(20)
    assert info.value.exit_code == 143
    assert time.monotonic() - start < 10


def test_order_can_be_called_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(interruption, "_GRACE_SECONDS", 0.1)
    with stop_on_signal() as stop:
        signal.raise_signal(signal.SIGINT)
        stop.cancel()
        time.sleep(0.3)
    assert stop.exit_code == 130
