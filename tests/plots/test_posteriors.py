"""A posterior's figures show its own numbers, and a notebook shows the verdict first."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from logpx import plots
from logpx.errors import UsageError
from logpx.posteriors import MeanField, Positive, Real, ReverseKL, posterior


def two_modes(x: torch.Tensor) -> torch.Tensor:
    """Three tenths around -6, the rest around 6."""
    each = [Normal(-6.0, 1.0).log_prob(x).sum(-1) + math.log(0.3)]
    each.append(Normal(6.0, 0.5).log_prob(x).sum(-1) + math.log(0.7))
    return torch.logsumexp(torch.stack(each), 0)


@pytest.fixture(scope="module")
def bimodal():
    return posterior(two_modes, dim=2, method="laplace")


@pytest.fixture(scope="module")
def named():
    def log_density(theta):
        location = Normal(0.0, 1.0).log_prob(theta["<script>alert(1)</script>"]).sum(-1)
        return location + 3.0 * theta["scale"].log() - theta["scale"]

    parameters = {"<script>alert(1)</script>": Real(2), "scale": Positive()}
    return posterior(log_density, parameters=parameters, method=MeanField(ReverseKL(max_steps=60)))


def test_modes_have_their_shares(bimodal):
    ax = bimodal.plot_modes()
    bars = [bar.get_width() for bar in ax.patches]
    np.testing.assert_allclose(bars, [0.7, 0.3], atol=0.02)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["(6, 6)", "(-6, -6)"]
    assert "2 modes" in ax.get_title()


def test_weights_are_multiples_of_their_mean(bimodal):
    ax = bimodal.plot_weights()
    (line,) = (line for line in ax.lines if line.get_linestyle() == "-" and len(line.get_xdata()) > 2)
    weights = np.sort(np.exp(bimodal.weighted.log_weights.numpy()))[::-1]
    assert line.get_ydata()[0] == pytest.approx(weights[0] / weights.mean())
    assert f"{bimodal.k_hat:.2f}" in ax.get_title()


def test_pairs_and_marginals_show_draws_and_the_verdict(named):
    grid = named.plot_pair()
    assert grid.shape == (3, 3)
    assert grid[0, 0].get_title().startswith(named.diagnosis.trust.value)
    assert named.plot_pair(["scale"]).shape == (1, 1)
    assert [ax.get_title() for ax in named.plot_marginals()][-1] == "scale"
    with pytest.raises(UsageError, match="'scale'"):
        named.plot_marginals(["scal"])


def test_bound_ends_at_the_evidence(named, bimodal):
    ax = named.plot_bound()
    assert len(ax.lines[0].get_ydata()) == len(named.traces[0]) > 0
    assert any(f"{named.log_evidence:.3f}" in text.get_text() for text in ax.get_legend().get_texts())
    assert bimodal.plot_bound().get_title() == "there were no training steps"


def test_functions_take_the_result_itself(bimodal):
    assert plots.plot_pair(bimodal).shape == (2, 2)
    assert plots.plot_weights(bimodal).get_title() == bimodal.plot_weights().get_title()


def test_notebook_shows_the_verdict_first_and_escapes_names(named):
    html = named._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert html.index(named.diagnosis.trust.value) < html.index("log evidence") < html.index("scale")


def test_no_mode_and_many_modes_are_drawn():
    assert plots.plot_modes([], climbs=7).get_title() == "no mode was met after 7 climbs"
    ax = plots.plot_modes([f"m{i}" for i in range(40)], np.full(40, 0.02), unseen=0.2)
    assert [label.get_text() for label in ax.get_yticklabels()][-2:] == ["28 more", "not met"]
    assert ax.patches[12].get_width() == pytest.approx(0.56)
    with pytest.raises(UsageError, match="1 modes and 2 shares"):
        plots.plot_modes(["a"], [0.5, 0.5])


def test_weights_of_zero_are_counted_and_none_above_zero_is_refused():
    ax = plots.plot_weights([0.0, 0.0, -np.inf, -np.inf])
    assert ax.lines[1].get_ydata()[0] == pytest.approx(2.0)
    with pytest.raises(UsageError, match="no weight"):
        plots.plot_weights([-np.inf, -np.inf])
