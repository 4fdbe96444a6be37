import math

import pytest
import torch
from torch import nn

from logpx.distributions import DiagonalNormal, Distribution, Flow, StandardNormal, Uniform
from logpx.errors import DivergedError
from logpx.training import fit
from logpx.transforms import Affine, Chain, Exp, Inverse


class Faulty(Distribution):
    """A normal distribution whose log-density is NaN when `fault` says so."""

    def __init__(self, fault, features=2):
        super().__init__(features)
        self.normal = DiagonalNormal(features)
        self.fault = fault
        self.calls = 0

    def log_prob(self, x, context=None):
        log_prob = self.normal.log_prob(x)
        if not self.training:
            return log_prob
        self.calls += 1
        return torch.where(self.fault(self, x), torch.nan, log_prob)


class FaultyGradient(Distribution):
    """A normal distribution with one more parameter, at which the gradient is never finite."""

    def __init__(self):
        super().__init__(2)
        self.normal = DiagonalNormal(2)
        self.broken = nn.Parameter(torch.zeros(1))

    def log_prob(self, x, context=None):
        # The square root has value 0 and an infinite slope at 0.
        return self.normal.log_prob(x) + 0.0 * x[:, 0] + self.broken.abs().sqrt()


def data(n=400):
    return 3.0 + 2.0 * torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


def always(model, x):
    return torch.ones(len(x), dtype=torch.bool)


def closed_form_nats(x):
    normal = DiagonalNormal(2)
    normal.update(normal.statistics(x))
    return normal.log_prob(x).mean().item()


def test_single_bad_steps_are_skipped():
    model = Faulty(lambda model, x: torch.full((len(x),), model.calls % 7 == 0))
    result = fit(model, data(), max_steps=600, learning_rate=0.05, validation_fraction=0.0)
    assert [event.kind for event in result.events] == ["skipped"]
    assert "85 steps" in result.events[0].message
    assert model.log_prob(data()).mean().item() == pytest.approx(closed_form_nats(data()), abs=0.01)
    assert all(math.isfinite(record.train) for record in result.history[1:])


def test_a_run_of_bad_steps_rolls_back_and_recovers():
    model = Faulty(lambda model, x: torch.full((len(x),), 210 <= model.calls < 215))
    result = fit(model, data(), max_steps=600, learning_rate=0.05, batch_size=8, validation_fraction=0.0)
    assert [event.kind for event in result.events] == ["roll-back", "skipped"]
    assert "half the learning rate; 40 rows" in result.events[0].message
    assert model.log_prob(data()).mean().item() == pytest.approx(closed_form_nats(data()), abs=0.02)
    before = max(record.learning_rate for record in result.history if record.step and record.step <= 200)
    after = max(record.learning_rate for record in result.history if record.step > 235)
    assert after < 0.55 * before


def test_rows_to_blame_are_left_out():
    x = data()
    x[::2, 0] += 1000.0
    model = Faulty(lambda model, x: x[:, 0] > 500.0)
    # Every batch holds such rows, so that nothing could be learned from any of them.
    result = fit(
        model, x, max_steps=600, learning_rate=0.05, batch_size=400, validation_fraction=0.0, noise=0.0
    )
    assert "200 rows are left out" in result.events[0].message
    assert model.log_prob(x[1::2]).mean().item() == pytest.approx(closed_form_nats(x[1::2]), abs=0.05)


def test_lasting_trouble_names_row_and_column():
    x = data()
    # So many that hardly a batch is without one.
    x[::2, 1] += 1000.0
    model = Faulty(lambda model, x: x[:, 1] > 500.0)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DivergedError, match="log-density is not finite") as caught:
        fit(model, x, batch_size=8)
    assert caught.value.row % 2 == 1
    assert caught.value.column == 1
    for name, value in model.state_dict().items():
        assert torch.equal(value, start[name])
    assert not model.training


def test_no_row_left():
    with pytest.raises(DivergedError, match="no training row is left"):
        fit(Faulty(always), data(50), batch_size=50, validation_fraction=0.0)


def test_gradient_that_is_not_finite_names_its_parameter():
    with pytest.raises(DivergedError, match="gradient of parameter broken is not finite"):
        fit(FaultyGradient(), data(4000), batch_size=8)


def test_validation_row_without_density_is_named():
    class Box(Distribution):
        def __init__(self):
            super().__init__(2)
            self.uniform = Uniform(2, -50.0, 50.0)
            self.level = nn.Parameter(torch.zeros(()))

        def log_prob(self, x, context=None):
            return self.uniform.log_prob(x) + 0.0 * self.level

    validation = data(100)
    validation[41, 0] = 60.0
    with pytest.raises(DivergedError, match="validation row") as caught:
        fit(Box(), data(), validation, max_steps=10)
    assert caught.value.row == 42


def test_validation_that_is_lost_rolls_back():
    class Fragile(Faulty):
        """Has no density anywhere once its mean has come far enough, unless it came there slowly."""

        def log_prob(self, x, context=None):
            log_prob = self.normal.log_prob(x)
            return log_prob if self.training else torch.where(self.normal.mean[0] > 2.0, torch.nan, log_prob)

    model = Fragile(always)
    with pytest.raises(DivergedError, match="validation row"):
        fit(model, data(), max_steps=5000, learning_rate=0.05)
    # The state that is left is the last with a density.
    assert 0.5 < model.normal.mean[0].item() <= 2.0


def test_training_rows_that_stay_impossible_are_said():
    # Without validation rows nothing else would: the score is that of the batches without them.
    x = torch.rand(60, 1, generator=torch.Generator().manual_seed(0)) + 0.1
    x[7] = -1.0
    flow = Flow(StandardNormal(1), Chain([Inverse(Exp(1)), Affine(1)]))
    with pytest.warns(UserWarning, match="1 training row has density 0, the first of them row 8"):
        fit(flow, x, progress=False, max_epochs=3, validation_fraction=0.0, noise=0.0)
