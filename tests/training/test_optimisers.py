"""Optimisers and schedules of one's own."""

import functools
import inspect

import pytest
import torch
from torch.optim import lr_scheduler

import logpx
from logpx.distributions import Flow, FullNormal, StandardNormal
from logpx.errors import UnknownArgumentError, UsageError
from logpx.transforms import Affine


def flow():
    return Flow(StandardNormal(1), Affine(1))


X = 3.0 + 0.5 * torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
STEPS = {"max_steps": 40, "noise": 0.0, "validation_fraction": 0.0, "gradient_clip": None, "batch_size": 200}


def fitted(**options):
    rates = []
    model = flow()
    logpx.fit(
        model, X, progress=False, on_step=lambda step: rates.append(step.learning_rate), **STEPS, **options
    )
    return model, rates


def test_an_optimiser_takes_the_steps():
    made = []

    def optimiser(parameters):
        made.append(list(parameters))
        return torch.optim.SGD(parameters, lr=0.1)

    _, rates = fitted(optimiser=optimiser, schedule=lambda progress: 1.0)
    assert rates == [0.1] * 40
    assert len(made) == 1
    assert len(made[0]) == 2


def test_steps_are_those_of_the_optimiser_by_hand():
    seen = []
    model = flow()
    by_hand = flow()
    logpx.fit(
        model,
        X,
        progress=False,
        optimiser=functools.partial(torch.optim.SGD, lr=0.05),
        schedule=lambda progress: 1.0 - progress,
        on_step=lambda step: seen.append(model.transform.shift.item()),
        **STEPS,
    )
    optimiser = torch.optim.SGD(by_hand.parameters(), lr=0.05)
    expected = []
    for step in range(40):
        optimiser.param_groups[0]["lr"] = 0.05 * (1.0 - step / 40)
        optimiser.zero_grad()
        (-by_hand.log_prob(X).mean()).backward()
        optimiser.step()
        expected.append(by_hand.transform.shift.item())
    assert seen == pytest.approx(expected, rel=1e-5)


def test_the_rate_of_the_optimiser_is_the_highest_unless_one_is_given():
    _, rates = fitted(optimiser=functools.partial(torch.optim.Adam, lr=0.3))
    assert max(rates) == pytest.approx(0.3, rel=0.05)
    assert rates[-1] < 0.01
    _, rates = fitted(optimiser=torch.optim.Adam, learning_rate=0.2)
    assert max(rates) == pytest.approx(0.2, rel=0.05)


def test_a_schedule_alone_changes_the_rate_of_the_library():
    _, rates = fitted(schedule=lambda progress: 2.0 if progress < 0.5 else 0.5, learning_rate=0.01)
    assert rates == pytest.approx([0.02] * 20 + [0.005] * 20)


def test_a_scheduler_of_torch_is_advanced_after_every_step():
    _, rates = fitted(
        optimiser=functools.partial(torch.optim.SGD, lr=0.1),
        schedule=lambda optimiser: lr_scheduler.StepLR(optimiser, step_size=10, gamma=0.5),
    )
    assert rates == pytest.approx([0.1] * 10 + [0.05] * 10 + [0.025] * 10 + [0.0125] * 10)
    _, rates = fitted(schedule=functools.partial(lr_scheduler.ExponentialLR, gamma=0.9), learning_rate=0.01)
    assert rates == pytest.approx([0.01 * 0.9**step for step in range(40)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimiser": "adam"}, "optimiser is 'adam'"),
        ({"optimiser": lambda parameters: 3}, "optimiser made a int"),
        ({"optimiser": torch.optim.LBFGS}, "optimiser made a LBFGS"),
        ({"schedule": 0.1}, "schedule is 0.1"),
        ({"schedule": lambda optimiser: "none"}, "schedule made a str"),
        ({"schedule": lambda progress: 1.0 - 2.0 * progress}, "schedule returned -"),
    ],
)
def test_what_is_none_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        fitted(**options)


def test_models_that_need_none_and_runs_that_are_kept_refuse_one(tmp_path):
    with pytest.raises(UsageError, match="FullNormal needs none"):
        logpx.fit(FullNormal(1), X, optimiser=torch.optim.Adam)
    with pytest.raises(UsageError, match="keeps no checkpoints"):
        logpx.fit(flow(), X, optimiser=torch.optim.Adam, checkpoint=tmp_path)


def test_misspelt_options_are_named_with_the_nearest():
    for model, wrong, nearest in (
        (flow(), "optimizer", "optimiser"),
        (flow(), "lr", "learning_rate"),
        ("gaussian", "latents", "latent"),
    ):
        with pytest.raises(UnknownArgumentError, match=nearest):
            logpx.fit(model, X, **{wrong: None})


def test_the_signature_of_fit_names_its_options():
    names = set(inspect.signature(logpx.fit).parameters)
    assert names >= {
        "model",
        "data",
        "validation",
        "optimiser",
        "schedule",
        "max_epochs",
        "columns",
        "levels",
    }
    assert not any(each.kind is each.VAR_KEYWORD for each in inspect.signature(logpx.fit).parameters.values())
