"""FlowDensity: scores in the units of the data, maps there and back, what it refuses."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import logpx
from logpx.distributions import Flow, StandardNormal
from logpx.estimators import FlowDensity
from logpx.estimators.flow_density import FLOWS
from logpx.transforms import Affine

BRIEF = {"layers": 2, "hidden": (8,), "max_epochs": 2, "random_state": 0}


def correlated(rows: int = 300) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(rows, 2))
    return noise @ [[3.0, 1.0], [0.0, 0.1]] + [1e7, -5.0]


@pytest.mark.parametrize("flow", FLOWS)
def test_score_is_the_change_of_variables_by_finite_differences(flow):
    x = correlated()
    fitted = FlowDensity(flow, **BRIEF).fit(x)
    z = fitted.transform(x)
    np.testing.assert_allclose(fitted.inverse_transform(z), x, rtol=1e-9)
    step = 1e-4
    columns = [
        (fitted.transform(x + step * unit) - fitted.transform(x - step * unit)) / (2.0 * step)
        for unit in np.eye(2)
    ]
    determinant = np.abs(np.linalg.det(np.stack(columns, -1)))
    expected = norm.logpdf(z).sum(1) + np.log(determinant)
    # At the knots of a spline differences are between two pieces.
    assert np.mean(np.abs(fitted.score_samples(x) - expected) < 1e-3) > 0.95
    assert fitted.score(x) == pytest.approx(fitted.score_samples(x).mean())


def test_far_from_zero_it_learns_what_it_learns_at_zero():
    x = correlated()
    far = FlowDensity("realnvp", **BRIEF).fit(x)
    near = FlowDensity("realnvp", **BRIEF).fit(x - [1e7, -5.0])
    np.testing.assert_allclose(far.score_samples(x), near.score_samples(x - [1e7, -5.0]), atol=1e-4)
    assert far.validation_score_ == pytest.approx(near.validation_score_, abs=1e-4)


def test_validation_score_is_in_the_units_of_the_data():
    x = correlated()
    small = FlowDensity("realnvp", **BRIEF).fit(x)
    large = FlowDensity("realnvp", **BRIEF).fit(x * 1000.0)
    assert small.validation_score_ - large.validation_score_ == pytest.approx(2 * np.log(1000.0), abs=1e-3)
    assert abs(small.validation_score_ - small.score(x)) < 1.0


@pytest.mark.slow
def test_longer_fit_beats_a_normal_distribution():
    random = np.random.default_rng(0)
    x = np.concatenate([random.normal(size=500) - 4.0, random.normal(size=500) + 4.0])[:, None]
    fitted = FlowDensity("nsf", layers=1, hidden=(16,), max_epochs=20, random_state=0).fit(x)
    assert fitted.score(x) > norm(x.mean(), x.std()).logpdf(x).mean() + 0.3


def test_weights_are_repetitions_in_full_batches():
    x = correlated(60)
    weights = np.random.default_rng(1).integers(0, 3, len(x))
    options = {"batch_size": 1000, "noise": 0.0, "validation_fraction": 0.0, "dtype": "float64"}
    weighted = FlowDensity("realnvp", **BRIEF, **options).fit(x, sample_weight=weights)
    repeated = FlowDensity("realnvp", **BRIEF, **options).fit(x.repeat(weights, axis=0))
    np.testing.assert_allclose(weighted.score_samples(x), repeated.score_samples(x), atol=1e-6)


def test_samples_depend_on_random_state():
    fitted = FlowDensity("realnvp", **BRIEF).fit(correlated())
    np.testing.assert_array_equal(fitted.sample(5), fitted.sample(5))
    np.testing.assert_array_equal(fitted.sample(5, random_state=1), fitted.sample(5, random_state=1))
    assert not np.allclose(fitted.sample(5), fitted.sample(5, random_state=1))
    drawn = fitted.sample(4000)
    np.testing.assert_allclose(drawn.mean(0), correlated().mean(0), atol=0.5)


def test_flow_of_ones_own_is_copied():
    flow = logpx.flows.RealNVP(2, layers=2, hidden=(8,))
    before = {name: value.clone() for name, value in flow.state_dict().items()}
    x = correlated() - [1e7, -5.0]
    fitted = FlowDensity(flow, max_epochs=1, random_state=0).fit(x)
    assert fitted.flow is flow
    assert all(torch.equal(before[name], value) for name, value in flow.state_dict().items())
    assert isinstance(fitted.model_, logpx.flows.RealNVP)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(x)), x, atol=1e-6)


def test_names_of_columns_in_and_out():
    frame = pd.DataFrame(correlated(), columns=["a", "b"])
    fitted = FlowDensity("realnvp", **BRIEF).set_output(transform="pandas").fit(frame)
    assert fitted.transform(frame).columns.tolist() == ["flowdensity0", "flowdensity1"]
    assert fitted.get_feature_names_out().tolist() == ["flowdensity0", "flowdensity1"]


def test_clone_pickle_and_model_folder_keep_it(tmp_path):
    x = correlated()
    fitted = FlowDensity("realnvp", **BRIEF).fit(x)
    scores = fitted.score_samples(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(x), scores)
    assert not hasattr(clone(fitted), "model_")
    np.testing.assert_array_equal(clone(fitted).fit(x).score_samples(x), scores)
    logpx.save(fitted.model_, tmp_path / "flow")
    loaded = logpx.load(tmp_path / "flow")
    np.testing.assert_allclose(loaded.log_prob(torch.tensor(x)).numpy(force=True), scores)


def test_grid_search_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), FlowDensity(**BRIEF))
    search = GridSearchCV(pipeline, {"flowdensity__flow": ["realnvp", "maf"]}, cv=2).fit(correlated(60))
    assert set(search.best_params_) == {"flowdensity__flow"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"flow": "nfs"}, "did you mean 'nsf'"),
        ({"dtype": "float16"}, "there is no dtype"),
        ({"flow": logpx.flows.RealNVP(3)}, "the data have 2 columns"),
        ({"flow": logpx.flows.RealNVP(2), "layers": 2}, "build the flow with them"),
        ({"max_epochs": -1}, "max_epochs"),
    ],
)
def test_what_makes_no_sense_is_refused_in_fit(wrong, message):
    with pytest.raises(ValueError, match=message):
        FlowDensity(**wrong).fit(correlated())


def test_constant_column_is_refused_by_name():
    frame = pd.DataFrame({"a": np.arange(20.0), "always": np.full(20, 0.1)})
    with pytest.raises(ValueError, match="column 'always': every row has the same value"):
        FlowDensity(**BRIEF).fit(frame)


def test_noise_of_another_width_is_refused():
    fitted = FlowDensity("realnvp", **BRIEF).fit(correlated())
    with pytest.raises(ValueError, match="noise of 3 columns"):
        fitted.inverse_transform(np.zeros((4, 3)))


class _Apart(Flow):
    """Independent features, of which missing ones are left out."""

    allows_missing = True

    def __init__(self) -> None:
        super().__init__(StandardNormal(2), Affine(2))

    def log_prob(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        z, _ = self.transform.forward(x.nan_to_num())
        each = -0.5 * (z.square() + math.log(2.0 * math.pi)) - self.transform.log_scale
        return torch.where(x.isnan(), 0.0, each).sum(-1)


def test_missing_cells_are_for_the_flow_to_take():
    x = np.random.default_rng(0).normal(size=(100, 2)) * [0.5, 2.0]
    x[::3, 0] = np.nan
    density = FlowDensity(_Apart(), max_epochs=100, learning_rate=0.05, random_state=0).fit(x)
    assert density.allow_nan
    apart = [norm.logpdf(x[0, 1], x[:, 1].mean(), x[:, 1].std())]
    np.testing.assert_allclose(density.score_samples(x[:1]), apart, atol=0.2)
    with pytest.raises(ValueError, match="contains NaN"):
        FlowDensity("maf", layers=1, hidden=(4,), max_epochs=1).fit(x)
