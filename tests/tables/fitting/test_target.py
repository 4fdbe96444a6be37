"""Models that will be asked for some columns given all others are compared, and trained, for these."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import logpx
from logpx.distributions import OrderAgnostic, TargetLast
from logpx.distributions.columns import LabelColumn, NumberColumn
from logpx.errors import UsageError
from logpx.tables.families.conditional_training import ConditionalTraining
from logpx.training import fit


def table(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.uniform(-2.0, 2.0, rows)
    return pd.DataFrame(
        {"x": x, "noise": rng.lognormal(size=rows), "y": np.sin(2 * x) + rng.normal(0, 0.2, rows)}
    )


def test_candidates_are_compared_by_the_target_given_the_others() -> None:
    rows = table()
    result = logpx.fit("gaussian", rows, rows, target=["y"], max_time=5)
    given = result.model.conditional("y").log_prob(rows)
    assert result.chosen.validation == pytest.approx(float(given.mean()), abs=0.02)
    assert result.verdict is not None
    assert abs(result.verdict.gains["full-covariance Gaussian"].gain) < 0.1


@pytest.mark.slow
def test_a_stack_is_no_answer_for_a_target() -> None:
    result = logpx.fit("auto", table(80), target=["y"], max_steps=2)
    assert " + " not in result.chosen.model


def test_targets_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="the target is no modelled column"):
        logpx.fit("gaussian", table(), target=["Y"])
    with pytest.raises(UsageError, match="all columns are targets"):
        logpx.fit("gaussian", table(), target=["x", "noise", "y"])


def test_the_estimate_for_a_target_has_the_mean_of_its_log_density() -> None:
    torch.manual_seed(0)
    model = OrderAgnostic([NumberColumn(components=3), LabelColumn(3), LabelColumn(2)], 8, 1, orders=2)
    x = torch.tensor([[0.3, 1.0, 0.0], [torch.nan, 2.0, 1.0], [-1.0, 0.0, torch.nan]], dtype=torch.float64)
    model.double()
    with torch.no_grad():
        model.net.exit.normal_()
        target = torch.tensor([False, True, True])
        found = torch.stack([model.train().conditional_estimate(x, target) for _ in range(200)]).mean(0)
        each = []
        for order in model.chains.tolist():
            known = torch.tensor([0, *[column for column in order if column]])
            both = model.eval().log_prob_in_order(x, known)
            first = model.log_prob_in_order(x.masked_fill(target, torch.nan), known)
            each.append(both - first)
    assert torch.allclose(found, torch.stack(each).mean(0), atol=0.1)


def test_training_for_a_target_leaves_a_joint_density_and_finds_the_conditional_one() -> None:
    rows = table(300)
    x = torch.tensor(rows.to_numpy())
    torch.manual_seed(0)
    model = OrderAgnostic([NumberColumn(components=4) for _ in range(3)], 24, 1, orders=1)
    trained = ConditionalTraining(model, [2])
    before = float(x[:, 2].std())
    fit(trained, x, x, max_steps=250, seed=0, progress=False)
    given = float(trained.log_prob(x).mean())
    # Far better than the normal distribution of y alone.
    assert given > -0.5 * np.log(2 * np.pi * np.e * before**2) + 0.5
    assert bool(model.log_prob(x).isfinite().all())


def test_one_target_of_numbers_comes_last_and_knows_what_a_forest_says() -> None:
    rows = table(200)
    given = [
        float(
            logpx.fit(model, rows, rows, target=["y"], max_steps=steps)
            .model.conditional("y")
            .log_prob(rows)
            .mean()
        )
        for model, steps in (("autoregressive", 3), ("gaussian", 3))
    ]
    # After three steps that is the forest's doing.
    assert given[0] > given[1] + 0.3


@pytest.mark.slow
def test_a_fit_for_a_target_that_was_stopped_goes_on_to_the_same_model(tmp_path: Path) -> None:
    rows, asked = table(60), itertools.count()
    options = {"target": ["y"], "max_steps": 8}
    whole = logpx.fit("autoregressive", rows, **options)
    logpx.fit(
        "autoregressive", rows, should_stop=lambda: next(asked) > 12, checkpoint=tmp_path / "fit", **options
    )
    resumed = logpx.fit("autoregressive", rows, resume=tmp_path / "fit", **options)
    assert isinstance(resumed.model.density.model, TargetLast)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
