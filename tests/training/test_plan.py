import math

import pytest

from logpx.training.plan import Wishes, plan_for


def test_learning_rate_rises_then_falls_to_zero():
    plan = plan_for(10_000, Wishes(learning_rate=1.0, max_steps=1000))
    rates = [plan.rate(step, 0.0) for step in range(1001)]
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top == plan.warm_up - 1
    assert rates[500] == pytest.approx(0.5)
    assert rates[1000] == 0.0


def test_progress_is_that_of_steps_or_time_whichever_is_further():
    plan = plan_for(10_000, Wishes(max_steps=1000, max_time=10.0))
    assert plan.progress(500, 1.0) == 0.5
    assert plan.progress(100, 8.0) == 0.8
    assert plan.progress(5000, 0.0) == 1.0
    assert plan.rate(500, 10.0) == 0.0


@pytest.mark.parametrize("rows", [2, 9, 15, 100, 3000, 10**5, 10**8])
def test_defaults_are_possible_for_every_size(rows):
    plan = plan_for(rows, Wishes())
    assert 1 <= plan.batch_size <= min(rows, 1024)
    assert plan.steps_per_epoch == rows // plan.batch_size
    assert 1 <= plan.evaluate_every <= 500
    assert plan.warm_up <= plan.max_steps
    assert math.isfinite(plan.rate(0, 0.0))


def test_wishes_are_granted():
    plan = plan_for(1000, Wishes(64, 0.5, 0.25, None, 3, 1000, 9.0, 7))
    assert (plan.batch_size, plan.learning_rate, plan.weight_decay, plan.gradient_clip) == (
        64,
        0.5,
        0.25,
        None,
    )
    assert (plan.max_steps, plan.max_time, plan.patience) == (3 * (1000 // 64), 9.0, 7)
    assert plan_for(1000, Wishes(batch_size=10_000)).batch_size == 1000
    assert plan_for(1000, Wishes(weight_decay=0.0)).weight_decay == 0.0
