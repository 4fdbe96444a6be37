import json
import math

import numpy as np
import pandas
import pytest
import torch
from scipy import stats
from torch.utils.data import DataLoader

from logpx.distributions import DiagonalNormal, Distribution, Flow, FullNormal, StandardNormal
from logpx.errors import DataError, UsageError
from logpx.flows import MAF, NSF, RealNVP
from logpx.training import ClosedForm, GradientDescent, StopReason, fit, procedure_for
from logpx.transforms import Standardize


def correlated(n, seed=0):
    noise = np.random.default_rng(seed).normal(size=(n, 2))
    return noise @ np.array([[3.0, 1.0], [0.0, 0.2]]) + np.array([100.0, -5.0])


def small_flow(**kwargs):
    torch.manual_seed(0)
    return RealNVP(features=2, layers=2, hidden=(16,), **kwargs)


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


class TestClosedForm:
    def test_full_normal_is_maximum_likelihood(self):
        x = correlated(500)
        result = fit(FullNormal(2).double(), x)
        expected = stats.multivariate_normal(x.mean(0), np.cov(x.T, bias=True)).logpdf(x).mean()
        assert result.stopped is StopReason.CLOSED_FORM
        assert result.history[0].train == pytest.approx(expected, abs=1e-9)
        assert (result.train_rows, result.validation_rows) == (500, 0)

    def test_validation_rows_where_asked_for(self):
        x = correlated(500)
        result = fit(FullNormal(2).double(), x, validation_fraction=0.2)
        assert (result.train_rows, result.validation_rows) == (400, 100)
        given = fit(FullNormal(2).double(), x, correlated(50, seed=1))
        assert (given.train_rows, given.validation_rows) == (500, 50)
        per_row = stats.multivariate_normal(x.mean(0), np.cov(x.T, bias=True)).logpdf(correlated(50, seed=1))
        assert given.best_validation == pytest.approx(per_row.mean(), abs=1e-9)
        assert given.best_validation_error == pytest.approx(per_row.std(ddof=1) / math.sqrt(50), rel=1e-9)

    def test_weights_are_repetition(self):
        x = correlated(50)
        weights = np.arange(50) % 4
        weighted, repeated = FullNormal(2).double(), FullNormal(2).double()
        fit(weighted, x, weights=weights)
        fit(repeated, np.repeat(x, weights, axis=0))
        for a, b in zip(weighted.parameters(), repeated.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)

    def test_stream_is_read_once(self):
        class Stream:
            readings = 0

            def __iter__(self):
                self.readings += 1
                yield from np.array_split(correlated(500), 7)

        stream, streamed, whole = Stream(), DiagonalNormal(2).double(), DiagonalNormal(2).double()
        result = fit(streamed, stream)
        fit(whole, correlated(500))
        assert stream.readings == 1
        assert result.train_rows == 500
        for a, b in zip(streamed.parameters(), whole.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=0.0)

    def test_constant_column_is_named(self):
        frame = pandas.DataFrame({"size": np.arange(10.0), "year": np.full(10, 1999)})
        for model in (DiagonalNormal(2), FullNormal(2), small_flow()):
            with pytest.raises(DataError) as caught:
                fit(model, frame)
            assert caught.value.column == "year"

    def test_no_rows(self):
        with pytest.raises(DataError, match="no rows"):
            fit(FullNormal(2), np.empty((0, 2)))


def test_procedures_follow_the_class():
    class MyNormal(FullNormal):
        pass

    assert isinstance(procedure_for(MyNormal(2)), ClosedForm)
    assert isinstance(procedure_for(small_flow()), GradientDescent)


class TestGradientDescent:
    def test_reaches_the_entropy_of_correlated_normals_on_raw_units(self):
        x = correlated(2000) * np.array([1e6, 1e-4])
        flow = small_flow()
        fit(flow, x, max_steps=300)
        test = correlated(4000, seed=1) * np.array([1e6, 1e-4])
        covariance = np.array([[3.0, 1.0], [0.0, 0.2]]).T @ np.array([[3.0, 1.0], [0.0, 0.2]])
        entropy = stats.multivariate_normal(np.zeros(2), covariance).entropy() + math.log(1e6 * 1e-4)
        with torch.no_grad():
            nats = -flow.log_prob(torch.tensor(test, dtype=torch.float32)).mean().item()
        assert nats == pytest.approx(entropy, abs=0.06)

    @pytest.mark.parametrize(
        "build", [RealNVP, *(pytest.param(build, marks=pytest.mark.slow) for build in (MAF, NSF))]
    )
    def test_beats_the_best_normal_on_two_moons(self, build):
        from sklearn.datasets import make_moons

        x, _ = make_moons(1000, noise=0.1, random_state=0)
        test, _ = make_moons(2000, noise=0.1, random_state=1)
        torch.manual_seed(0)
        flow = build(features=2, layers=4, hidden=(32, 32))
        fit(flow, x, max_steps=250, learning_rate=1e-2)
        nats = -flow.log_prob(torch.tensor(test, dtype=torch.float32)).mean().item()
        # The entropy is 1.008 nats; no normal distribution gets below 1.909.
        assert 1.0 < nats < 1.55

    def test_same_seed_same_weights(self):
        ends = []
        for seed in (0, 0, 1):
            flow = small_flow()
            fit(flow, correlated(300), max_steps=60, seed=seed)
            ends.append(weights_of(flow))
        assert same(ends[0], ends[1])
        assert not same(ends[0], ends[2])

    def test_noise_of_the_model_is_seeded_too(self):
        class Noisy(StandardNormal):
            def __init__(self):
                super().__init__(2)
                self.scale = torch.nn.Parameter(torch.ones(()))

            def log_prob(self, x, context=None):
                return super().log_prob(x * self.scale + torch.rand_like(x)) + 2.0 * self.scale.abs().log()

        ends = []
        for global_seed in (1, 2):
            torch.manual_seed(global_seed)
            model = Noisy()
            fit(model, correlated(100), max_steps=20)
            ends.append(weights_of(model))
        assert same(*ends)

    def test_global_generator_is_untouched(self):
        flow = small_flow()
        before = torch.get_rng_state()
        fit(flow, correlated(100), max_steps=20)
        assert torch.equal(before, torch.get_rng_state())

    @pytest.mark.parametrize("cut", [13, 300])
    def test_stream_equals_memory(self, cut):
        x = correlated(300)
        streamed, whole = small_flow(), small_flow()
        stream = [x[start : start + cut] for start in range(0, 300, cut)]
        a = fit(streamed, stream, max_steps=60)
        b = fit(whole, x, max_steps=60)
        assert same(weights_of(streamed), weights_of(whole))
        assert a.best_validation == b.best_validation

    def test_data_loader_of_rows_and_context(self):
        pairs = [(torch.randn(2), torch.randn(1)) for _ in range(100)]
        result = fit(small_flow(context=1), DataLoader(pairs, batch_size=32), max_steps=5)
        assert result.train_rows + result.validation_rows == 100

    def test_context_is_learned(self):
        generator = np.random.default_rng(0)
        context = generator.normal(size=(1000, 1))
        x = 2.0 * context + 0.1 * generator.normal(size=(1000, 1))
        flow = NSF(features=1, autoregressive=True, layers=1, hidden=(16,), context=1)
        validation = slice(0, 200)
        result = fit(
            flow,
            x[200:],
            x[validation],
            context=context[200:],
            validation_context=context[validation],
            max_steps=400,
            learning_rate=1e-2,
        )
        # The conditional entropy; without the context it would be that of variance 4.01.
        conditional, marginal = (stats.norm(scale=s).entropy() for s in (0.1, math.sqrt(4.01)))
        assert -result.best_validation < conditional + 0.2 * (marginal - conditional)

    def test_weight_zero_is_absence_and_weights_matter(self):
        left, right = correlated(200), correlated(200) + 1000.0
        x = np.concatenate([left, right])
        weights = np.concatenate([np.ones(200), np.zeros(200)])
        flow = small_flow()
        result = fit(flow, x, weights=weights, max_steps=20)
        assert result.train_rows + result.validation_rows == 200
        assert flow.transform.transforms[0].mean.tolist() == pytest.approx(left.mean(0), abs=1.0)

        class Bernoulli(Distribution):
            """Two points, whose weight is fitted: maximum likelihood is the weighted share."""

            def __init__(self):
                super().__init__(1)
                self.logit = torch.nn.Parameter(torch.zeros(()))

            def log_prob(self, x, context=None):
                return torch.nn.functional.logsigmoid(torch.where(x[:, 0] > 0.5, self.logit, -self.logit))

        coin = Bernoulli()
        points = np.tile([0.0, 1.0], 100)
        fit(
            coin,
            points,
            weights=1.0 + 8.0 * points,
            max_steps=500,
            learning_rate=0.1,
            validation_fraction=0.0,
        )
        assert torch.sigmoid(coin.logit).item() == pytest.approx(0.9, abs=0.01)

    def test_nothing_to_train_is_still_initialised(self):
        flow = Flow(StandardNormal(2), Standardize(2))
        result = fit(flow, correlated(1000), validation_fraction=0.0)
        assert result.stopped is StopReason.NOTHING_TO_TRAIN
        assert flow.transform.mean.tolist() == pytest.approx(correlated(1000).mean(0), rel=1e-5)

    def test_frozen_parameters_stay(self):
        flow = small_flow()
        frozen = flow.transform.transforms[1]
        for parameter in frozen.parameters():
            parameter.requires_grad_(False)
        before = weights_of(frozen)
        fit(flow, correlated(200), max_steps=20)
        assert same(before, weights_of(frozen))
        assert [p.requires_grad for p in frozen.parameters()] == [False] * len(before)
        assert all(p.grad is None for p in flow.parameters())
        assert not flow.training

    @pytest.mark.parametrize("rows", [2, 5, *(pytest.param(n, marks=pytest.mark.slow) for n in (12, 20))])
    def test_few_rows(self, rows):
        flow = small_flow()
        result = fit(flow, correlated(rows))
        assert result.train_rows + result.validation_rows == rows
        assert (result.validation_rows == 0) == (rows < 10)
        nats = -flow.log_prob(torch.tensor(correlated(2000, seed=1), dtype=torch.float32)).mean().item()
        assert math.isfinite(nats)

    def test_double_precision_stays(self):
        flow = small_flow().double()
        result = fit(flow, correlated(100), max_steps=5)
        assert {p.dtype for p in flow.parameters()} == {torch.float64}
        assert math.isfinite(result.best_validation)


def test_result_says_and_stores_what_happened():
    result = fit(small_flow(), correlated(300), max_steps=60)
    stored = json.loads(json.dumps(result.to_dict()))
    assert stored["stopped"] == "budget"
    assert stored["train_rows"] == result.train_rows == 225
    assert [record["step"] for record in stored["history"]] == [record.step for record in result.history]
    assert result.best_validation == max(record.validation for record in result.history)
    text = repr(result)
    assert f"{result.best_validation:.3f} ± {result.best_validation_error:.3f} nats" in text
    assert "225 training, 75 validation" in text


@pytest.mark.parametrize(
    "wish",
    [{"batch_size": 0}, {"learning_rate": -1.0}, {"max_time": 0.0}, {"patience": 0}, {"max_steps": -1}],
)
def test_impossible_wishes(wish):
    with pytest.raises(UsageError, match=next(iter(wish))):
        fit(small_flow(), correlated(50), **wish)


def test_arguments_that_do_not_go_together():
    with pytest.raises(UsageError, match="distribution was expected"):
        fit(torch.nn.Linear(2, 2), correlated(50))
    with pytest.raises(UsageError, match="validation_context without validation"):
        fit(
            small_flow(context=1),
            correlated(50),
            context=np.ones((50, 1)),
            validation_context=np.ones((5, 1)),
        )


@pytest.mark.parametrize("model", [FullNormal(2), small_flow()], ids=["closed form", "gradients"])
def test_no_rows_at_all(model):
    none = np.empty((0, 2))
    with pytest.raises(DataError, match="rows"):
        fit(model, none)
    with pytest.raises(DataError, match="no rows in the validation data"):
        fit(model, correlated(50), none, max_steps=1)


@pytest.mark.parametrize("data", ["table.csv", {"a": [1.0], "b": [2.0]}])
def test_tables_are_referred_to_the_other_fit(data):
    with pytest.raises(UsageError, match="rows of numbers") as caught:
        fit(small_flow(), data)
    assert "'auto'" in caught.value.fix


def test_any_whole_seed_will_do():
    for seed in (-1, 2**64, 10**30):
        assert fit(small_flow(), correlated(50), max_steps=1, seed=seed).seed == seed
    with pytest.raises(UsageError, match="seed"):
        fit(small_flow(), correlated(50), seed=1.5)
