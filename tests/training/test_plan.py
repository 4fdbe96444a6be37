import math

import pytest

from logpx.training.plan import TrainingOptions, plan_for


def test_learning_rate_rises_then_falls_to_zero():
    plan = plan_for(10_000, TrainingOptions(learning_rate=1.0, max_steps=1000))
    rates = [plan.rate(step, 0.0) for step in range(1001)]
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert top == plan.warm_up - 1
    assert rates[500] == pytest.approx(0.5)
    assert rates[1000] == 0.0


def test_progress_is_that_of_steps_or_time_whichever_is_further():
    plan = plan_for(10_000, TrainingOptions(max_steps=1000, max_time=10.0))
    assert plan.progress(500, 1.0) == 0.5
    assert plan.progress(100, 8.0) == 0.8
    assert plan.progress(5000, 0.0) == 1.0
    assert plan.rate(500, 10.0) == 0.0


@pytest.mark.parametrize("rows", [2, 9, 15, 100, 3000, 10**5, 10**8])
def test_defaults_are_possible_for_every_size(rows):
    plan = plan_for(rows, TrainingOptions())
    assert 1 <= plan.batch_size <= min(rows, 1024)
    assert plan.steps_per_epoch == rows // plan.batch_size
    assert 1 <= plan.evaluate_every <= 500
    assert plan.warm_up <= plan.max_steps
    assert math.isfinite(plan.rate(0, 0.0))


def test_wishes_are_granted():
    plan = plan_for(
        1000,
        TrainingOptions(
            batch_size=64,
            learning_rate=0.5,
            weight_decay=0.25,
            gradient_clip=None,
            max_epochs=3,
            max_steps=1000,
            max_time=9.0,
            patience=7,
        ),
    )
    assert (plan.batch_size, plan.learning_rate, plan.weight_decay, plan.gradient_clip) == (
        64,
        0.5,
        0.25,
        None,
    )
    assert (plan.max_steps, plan.max_time, plan.patience) == (3 * (1000 // 64), 9.0, 7)
    assert plan_for(1000, TrainingOptions(batch_size=10_000)).batch_size == 1000
    assert plan_for(1000, TrainingOptions(weight_decay=0.0)).weight_decay == 0.0


def test_warm_up_follows_the_time_where_time_is_what_ends_training():
    plan = plan_for(1500, TrainingOptions(learning_rate=1.0, max_steps=10_000_000, max_time=4.0))
    rates = [plan.rate(step, step * 4.0 / 80) for step in range(81)]
    assert max(rates) > 0.95
    assert rates[0] <= 0.05
    assert rates[80] == pytest.approx(0.0)


def test_warm_up_is_of_steps_where_steps_end_training_first():
    # Even where time comes as close as it can to governing, the steps alone decide.
    for steps in (30, 1000, 100_000):
        plan = plan_for(1500, TrainingOptions(learning_rate=1.0, max_steps=steps))
        timed = plan_for(1500, TrainingOptions(learning_rate=1.0, max_steps=steps, max_time=10.0))
        tried = range(0, steps, max(1, steps // 500))
        assert [timed.rate(step, 10.0 * step / steps) for step in tried] == pytest.approx(
            [plan.rate(step, 0.0) for step in tried]
        )
