import math

import numpy as np
import pytest
import torch

from logpx.distributions import DiagonalNormal, Flow, StandardNormal
from logpx.flows import RealNVP
from logpx.training import GradientDescent, StopReason, fit, procedure_for
from logpx.training.task import Task
from logpx.transforms import Affine


def normal_rows(n, seed=0):
    return np.random.default_rng(seed).normal(3.0, 2.0, size=(n, 2))


def affine_flow():
    return Flow(StandardNormal(2), Affine(2))


def weights_of(model):
    return [value.clone() for value in model.state_dict().values()]


def same(a, b):
    return all(map(torch.equal, a, b))


def test_converges_to_maximum_likelihood():
    x = torch.tensor(normal_rows(1000), dtype=torch.float32)
    flow, normal = affine_flow(), DiagonalNormal(2)
    fit(flow, x, validation_fraction=0.0, max_steps=800, learning_rate=0.05)
    fit(normal, x)
    found = flow.transform
    torch.testing.assert_close(found.shift, normal.mean, rtol=0.0, atol=0.02)
    torch.testing.assert_close(found.log_scale, normal.log_scale, rtol=0.0, atol=0.02)


def test_early_stop_restores_the_best_state():
    torch.manual_seed(0)
    x, validation = normal_rows(40), normal_rows(100, seed=1)
    flow = RealNVP(features=2, layers=4, hidden=(64, 64))
    result = fit(flow, x, validation, learning_rate=1e-2, patience=4, max_steps=100_000)
    assert result.stopped is StopReason.PATIENCE
    assert result.events[-1].kind == "patience"
    values = [record.validation for record in result.history]
    assert values.index(max(values)) == len(values) - 5
    assert result.best_validation == max(values)
    with torch.no_grad():
        again = flow.log_prob(torch.tensor(validation, dtype=torch.float32)).mean().item()
    assert again == pytest.approx(result.best_validation, abs=1e-5)


def test_the_start_counts_where_training_makes_things_worse():
    flow = affine_flow()
    # At the start the model is the true distribution of the validation rows, not of the training rows.
    validation = np.random.default_rng(0).normal(size=(500, 2))
    result = fit(flow, normal_rows(500), validation, learning_rate=0.1, patience=3)
    assert result.best_epoch == 0
    assert flow.transform.shift.tolist() == [0.0, 0.0]


def test_time_limit_holds_within_an_epoch(monkeypatch):
    clock = {"now": 0.0}

    class Slow(DiagonalNormal):
        def log_prob(self, x, context=None):
            clock["now"] += 0.01
            return super().log_prob(x)

    procedure_for.register(Slow, lambda model: GradientDescent())
    monkeypatch.setattr(Task, "seconds", lambda task: clock["now"])
    result = fit(Slow(2), normal_rows(100_000), batch_size=10, max_time=0.6, learning_rate=0.1)
    assert result.stopped is StopReason.TIME
    assert result.seconds == clock["now"] < 0.7
    assert 5 < result.history[-1].step < 100
    assert result.history[-1].validation == result.best_validation > result.history[0].validation
    # The learning rate has come down along with the time, far from the planned number of steps.
    assert result.history[-1].learning_rate < 0.02


def test_stop_on_request():
    calls = []
    result = fit(affine_flow(), normal_rows(500), should_stop=lambda: calls.append(1) or len(calls) > 30)
    assert result.stopped is StopReason.REQUESTED
    assert result.history[-1].step == 30


def test_interruption_leaves_the_best_state_so_far():
    class Interrupted(Exception):
        pass

    for error in (KeyboardInterrupt, Interrupted):
        flow = affine_flow()
        records = []

        def stop(error=error, records=records):
            if len(records) > 3:
                raise error
            return False

        with pytest.raises(error):
            fit(flow, normal_rows(500), progress=records.append, should_stop=stop, learning_rate=0.05)
        best = max(record.validation for record in records)
        # The state is one that was evaluated, not one in the middle of a step.
        rerun = fit(flow, normal_rows(500), max_steps=0)
        assert rerun.best_validation == pytest.approx(best, abs=1e-5)
        assert not flow.training
        assert all(parameter.grad is None for parameter in flow.parameters())


def test_records():
    records = []
    result = fit(affine_flow(), normal_rows(2000), max_epochs=4, learning_rate=0.1, progress=records.append)
    assert records == result.history
    first, last = records[0], records[-1]
    assert (first.epoch, first.step, first.train) == (0, 0, None)
    assert last.epoch in (3, 4)
    assert last.step == 4 * (1800 // 32)
    assert last.train == pytest.approx(last.validation, abs=0.1)
    assert last.gradient_norm > 0.0
    assert last.learning_rate < 1e-4
    assert all(record.validation_error > 0.0 for record in records)


def test_learning_rate_that_is_too_high_does_no_harm():
    torch.manual_seed(0)
    flow = RealNVP(features=2, layers=4, hidden=(32, 32))
    result = fit(flow, normal_rows(500), learning_rate=10.0, max_steps=100)
    assert math.isfinite(result.best_validation)
    assert result.best_validation >= result.history[0].validation


def test_biases_are_not_decayed():
    class Idle(StandardNormal):
        """Its density does not depend on its parameters, so that decay alone moves them."""

        def __init__(self):
            super().__init__(2)
            self.matrix = torch.nn.Parameter(torch.ones(3, 3))
            self.bias = torch.nn.Parameter(torch.ones(3))

        def log_prob(self, x, context=None):
            return super().log_prob(x) + 0.0 * (self.matrix.sum() + self.bias.sum())

    model = Idle()
    fit(model, normal_rows(100), weight_decay=0.1, max_steps=100, validation_fraction=0.0)
    assert torch.equal(model.bias, torch.ones(3))
    assert (model.matrix < 0.999).all()


def test_patience_counts_evaluations_of_averaged_weights():
    flow = affine_flow()
    before = weights_of(flow)
    result = fit(flow, normal_rows(200), max_steps=0)
    assert result.stopped is StopReason.BUDGET
    assert len(result.history) == 1
    assert same(before, weights_of(flow))


def test_training_to_a_step_is_the_start_of_a_longer_one():
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    steps: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for short, records in steps.items():
        torch.manual_seed(0)
        result = fit(
            RealNVP(2, layers=2, hidden=(8,)),
            x,
            max_steps=60,
            last_step=20 if short else None,
            validation_fraction=0.0,
            on_step=lambda record, records=records: records.append((record.train, record.learning_rate)),
        )
        assert result.history[-1].step == (20 if short else 60)
        assert result.planned_steps == 60
    assert steps[True] == steps[False][:20]
