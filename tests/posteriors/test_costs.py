"""What a posterior costs, how its progress shows, and that it ends when its time is up."""

import math
import time

import pytest
from torch import Tensor

from logpx.errors import UsageError
from logpx.posteriors import Cost, Costs, Trust, densities, posterior
from logpx.posteriors.target.costs import Meter, TimeIsUpError


class Counted:
    """A standard normal log-density that counts its calls and points itself."""

    def __init__(self):
        self.calls, self.points = 0, 0

    def __call__(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.points += len(x)
        return -0.5 * x.square().sum(-1)


def test_all_calls_are_booked_by_stage():
    density = Counted()
    found = posterior(density, 2, vectorised=True)
    total = found.costs.total
    # Two calls look at the function before anything begins.
    assert 0 <= density.calls - total.calls <= 2
    assert [cost.stage for cost in found.costs.stages] == ["search for modes", "laplace"]
    assert found.costs["laplace"].points >= 10_000
    assert 0 < total.gradients < total.points
    assert f"log-density at {total.points:,} points" in repr(found)
    lines = str(found.costs).splitlines()
    assert lines[0].split() == ["seconds", "calls", "points", "gradients"]
    assert lines[-1].startswith("total")


def test_progress_is_told_to_a_function_and_to_stderr(capsys: pytest.CaptureFixture):
    seen = []
    posterior(Counted(), 2, progress=seen.append)
    assert [each.cost.stage for each in seen if each.result is not None] == ["search for modes", "laplace"]
    assert capsys.readouterr().err == ""
    posterior(Counted(), 2, progress=True)
    captured = capsys.readouterr()
    assert "laplace: log evidence 1.838, trust" in captured.err
    assert captured.out == ""


def test_an_error_of_the_callers_function_ends_the_run():
    def stop(_: object) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        posterior(Counted(), 2, progress=stop)


@pytest.mark.parametrize("method", ["auto", "smc", "mean_field"])
def test_when_time_is_up_the_best_so_far_says_so(method: str):
    found = posterior(densities.funnel(4).log_density, 4, method, max_time=0.5)
    assert found.diagnosis.trust is Trust.DO_NOT
    assert "max_time of 0.5 s was up" in found.verdict
    assert found.sample(5).shape == (5, 4)


def test_a_slow_density_is_cut_short_in_the_search(monkeypatch: pytest.MonkeyPatch):
    density = Counted()
    # Only the density takes time, whatever the machine.
    monkeypatch.setattr(time, "monotonic", lambda: 0.02 * density.calls)
    found = posterior(density, 2, max_time=0.5)
    assert found.landscape.cut_short
    assert "time was up before the search for modes was over" in found.verdict
    assert found.log_evidence == pytest.approx(math.log(2.0 * math.pi), abs=0.2)
    # About as many calls as there is time for; without a limit there are hundreds.
    assert density.calls < 60
    # The limit is that of the call: what is asked for later has none.
    assert len(found.metropolis(50)[0]) == 50


def test_no_time_for_a_single_start_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch):
    density = Counted()
    monkeypatch.setattr(time, "monotonic", lambda: 10.0 * density.calls)
    with pytest.raises(UsageError, match=r"(?s)max_time of 5 s was up before .* give more time"):
        posterior(density, 2, vectorised=True, max_time=5.0)


def test_a_limit_within_a_limit():
    meter = Meter()
    with meter.limited(time.monotonic() - 1.0):
        with pytest.raises(TimeIsUpError):
            meter.check()
        with meter.limited(math.inf):
            meter.check()
    meter.check()


def test_costs_add_up():
    one = Cost(stage="one", seconds=1.0, calls=2, points=30, gradients=4)
    two = Cost(stage="two", seconds=0.5, calls=1, points=5, gradients=0)
    total = Costs((one, two)).total
    assert (total.seconds, total.calls, total.points, total.gradients) == (1.5, 3, 35, 4)
    assert Costs((one, two))["two"] is two
