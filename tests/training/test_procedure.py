"""Mixtures through fit: EM from several starts, in double precision, and what is refused."""

import math

import numpy as np
import pandas
import pytest
import torch

from logpx.distributions import FullNormal
from logpx.errors import DataError, DivergedError
from logpx.flows import RealNVP
from logpx.latent import ConjugatePrior, GaussianMixture
from logpx.training import StopReason, fit


def correlated(n, seed=0):
    noise = np.random.default_rng(seed).normal(size=(n, 2))
    return noise @ np.array([[3.0, 1.0], [0.0, 0.2]]) + np.array([100.0, -5.0])


def small_flow(**kwargs):
    torch.manual_seed(0)
    return RealNVP(features=2, layers=2, hidden=(16,), **kwargs)


def test_em_reaches_the_parameters_of_a_known_mixture():
    generator = np.random.default_rng(0)
    x = np.concatenate([generator.normal(-3.0, 1.0, (3000, 1)), generator.normal(4.0, 0.5, (1000, 1))])
    mixture = GaussianMixture(components=2, features=1).double()
    result = fit(mixture, x)
    assert result.stopped is StopReason.CONVERGED
    order = mixture.means.flatten().argsort()
    assert mixture.weights[order].tolist() == pytest.approx([0.75, 0.25], abs=0.01)
    assert mixture.means.flatten()[order].tolist() == pytest.approx([-3.0, 4.0], abs=0.1)


def test_em_stops_after_the_iterations_asked_for():
    result = fit(
        GaussianMixture(components=5, features=2), correlated(500), max_epochs=2, validation_fraction=0.2
    )
    assert result.stopped is StopReason.BUDGET
    assert (result.train_rows, result.validation_rows) == (400, 100)
    assert result.best_validation == pytest.approx(result.history[-1].train, abs=0.5)


class TestExpectationMaximisation:
    def clusters(self, rows=300):
        generator = np.random.default_rng(0)
        centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
        return centres[np.arange(rows) % 3] + generator.normal(size=(rows, 2))

    def test_missing_cells_are_allowed_and_rows_without_a_value_are_nothing(self):
        x = self.clusters()
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
        some = ~np.isnan(x).all(1)
        found = [GaussianMixture(3, 2).double() for _ in range(2)]
        for mixture, rows in zip(found, (x, x[some]), strict=True):
            assert fit(mixture, rows).stopped is StopReason.CONVERGED
        for mixture in found:
            order = mixture.means[:, 0].argsort()
            means = mixture.means[order].detach().numpy()
            assert np.abs(np.sort(means.max(1)) - [0.1, 10.0, 10.0]).max() < 0.5
        scores = [mixture.log_prob(torch.from_numpy(x)).sum().item() for mixture in found]
        assert scores[0] == pytest.approx(scores[1], rel=1e-5)

    def test_weights_are_repetition(self):
        x, weights = self.clusters(), np.arange(300) % 4
        scores = []
        for rows, own in ((x, weights), (np.repeat(x, weights, 0), None)):
            mixture = GaussianMixture(3, 2).double()
            fit(mixture, rows, weights=own)
            scores.append(mixture.log_prob(torch.from_numpy(x)).mean().item())
        assert scores[0] == pytest.approx(scores[1], rel=1e-5)

    def test_the_dtype_stays_and_the_units_do_not_matter(self):
        x = self.clusters()
        for scale in (1.0, 1e-6, 1e6):
            mixture = GaussianMixture(3, 2)
            result = fit(mixture, x * scale)
            assert mixture.means.dtype == torch.float32
            assert result.history[-1].train + 2.0 * math.log(scale) == pytest.approx(-3.93, abs=0.1)

    def test_starts_that_were_refused_are_an_event(self):
        # Half of the rows are one value: most starts give it a component of its own.
        x = np.concatenate([self.clusters(), np.full((30, 2), 5.0)])
        result = fit(GaussianMixture(4, 2, prior=ConjugatePrior(covariance_rows=1.0)).double(), x)
        assert result.events == []
        x = x[: 300 + 3]
        result = fit(GaussianMixture(4, 2).double(), x)
        refused = [event for event in result.events if event.kind == "refused"]
        assert len(refused) == 1
        assert "of 6 starts were refused" in refused[0].message
        assert "component" in refused[0].message

    def test_if_every_start_collapses_it_says_so_and_how_to_go_on(self):
        x = np.tile([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], (20, 1))
        with pytest.raises(DivergedError, match="meaningless") as caught:
            fit(GaussianMixture(3, 2), x)
        assert "prior" in caught.value.fix
        assert "tied" in caught.value.fix
        with pytest.raises(DivergedError) as caught:
            fit(GaussianMixture(3, 2, "tied"), x)
        assert caught.value.fix
        mixture = GaussianMixture(3, 2, prior=ConjugatePrior(covariance_rows=1.0))
        assert math.isfinite(fit(mixture, x).history[-1].train)

    @pytest.mark.parametrize("value", [np.inf, -np.inf])
    def test_an_infinite_value_is_named(self, value):
        frame = pandas.DataFrame(self.clusters(), columns=["a", "b"])
        frame.loc[7, "b"] = value
        with pytest.raises(DataError, match="inf") as caught:
            fit(GaussianMixture(2, 2), frame)
        assert (caught.value.row, caught.value.column) == (8, "b")
        assert caught.value.fix

    @pytest.mark.parametrize(("value", "message"), [(np.nan, "missing"), (3.0, "same value")])
    def test_a_column_without_a_density_is_named(self, value, message):
        frame = pandas.DataFrame(self.clusters(), columns=["a", "b"])
        frame["b"] = value
        with pytest.raises(DataError, match=message) as caught:
            fit(GaussianMixture(2, 2), frame)
        assert caught.value.column == "b"
        assert caught.value.fix

    def test_more_components_than_rows(self):
        with pytest.raises(DataError, match="components") as caught:
            fit(GaussianMixture(20, 2), self.clusters(12))
        assert caught.value.fix

    def test_other_models_still_refuse_missing_cells(self):
        x = self.clusters()
        x[3, 1] = np.nan
        for model in (FullNormal(2), small_flow()):
            with pytest.raises(DataError, match="nan") as caught:
                fit(model, x)
            assert (caught.value.row, caught.value.column) == (4, 1)
