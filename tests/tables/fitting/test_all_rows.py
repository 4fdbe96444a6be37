"""A table longer than memory: what is chosen on a sample is fitted to all rows, in one process or several."""

import hashlib
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

import logpx
from logpx.errors import DataError, UsageError
from logpx.latent import FactorAnalysis, GaussianMixture, ProbabilisticPCA
from logpx.scoring import Ending, Limits
from logpx.tables import ColumnScales, Support, infer_schema, open_table
from logpx.tables.density import TableDensity
from logpx.tables.families.family import Budget, ClimbingFamily
from logpx.tables.fitting import rows as rows_of_tables
from logpx.tables.fitting import streamed_rows
from logpx.tables.fitting.all_rows import FitToAllRows
from logpx.tables.fitting.streamed_rows import StreamedRows
from logpx.tables.model_units import as_modelled
from logpx.training.journal import journal_of

ROWS, GROUP = 6000, 700


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    generator = np.random.default_rng(3)
    mixing = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 0.4]])
    return generator.normal(size=(ROWS, 3)) @ mixing + 3.0 * generator.integers(0, 2, ROWS)[:, None]


def written(x: np.ndarray, path: Path) -> Path:
    table = pa.table({name: x[:, place] for place, name in enumerate("abc")})
    pq.write_table(table, path, row_group_size=GROUP)
    return path


@pytest.fixture(scope="module")
def file(x: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(x, tmp_path_factory.mktemp("long") / "t.parquet")


@pytest.fixture
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a table of 1200 numbers for one that memory cannot hold."""
    monkeypatch.setattr(rows_of_tables, "_MOST_NUMBERS", 1200)
    monkeypatch.setattr(ClimbingFamily, "most_numbers", 600)


def density_of(model, x: np.ndarray) -> TableDensity:
    return TableDensity(ColumnScales.standard(x, [Support()] * x.shape[1]), model.double())


def all_rows(source, steps: int | None = None, *, holes: bool = False, given=None) -> FitToAllRows:
    table = open_table(source)
    rows = StreamedRows(table=table, schema=infer_schema(table), seed=0, given=given)
    budget = Budget(seconds=float("inf"), rows=300, kinds=["normal"] * 3, limits=Limits(steps=steps))
    return FitToAllRows(rows=rows, count=table.count_rows(), budget=budget, holes=holes)


def logpdf(x: np.ndarray, weights=None) -> np.ndarray:
    covariance = np.cov(x.T, aweights=weights, ddof=0)
    return stats.multivariate_normal(np.average(x, axis=0, weights=weights), covariance).logpdf(x)


def test_gaussian_is_that_of_every_row(x: np.ndarray, file: Path, short_memory: None):
    result = logpx.fit("gaussian", file, all_rows=True, max_steps=50, seed=1)
    assert result.rows == result.train_rows == ROWS
    assert any("1 step of EM on all 6,000 rows" in note for note in result.notes)
    assert any("chosen on a sample of 400 rows" in note for note in result.notes)
    density = result.model.density
    y, ladj = density.in_model_units(torch.from_numpy(x))
    np.testing.assert_allclose(
        density.log_prob(torch.from_numpy(x)), logpdf(y.numpy()) + ladj.numpy(), atol=1e-9
    )


@pytest.mark.parametrize("kind", [ProbabilisticPCA, FactorAnalysis])
def test_subspaces_are_the_maximum_over_every_row(x: np.ndarray, file: Path, kind):
    one, other = (density_of(kind(3, 1), x[:300]) for _ in range(2))
    finish = all_rows(file).fit(one)
    assert (finish.note, finish.ended) == ("in closed form on all 6,000 rows", Ending.CONVERGED)
    y, _ = other.in_model_units(torch.from_numpy(x))
    other.model.update_from_rows(y)
    assert torch.allclose(one.model.log_prob(y), other.model.log_prob(y), atol=1e-9)
    if kind is ProbabilisticPCA:
        values = np.linalg.eigvalsh(np.cov(y.numpy().T, ddof=0))
        assert one.model.noise_variance.item() == pytest.approx(values[:2].mean(), rel=1e-9)


def em_step(y: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray):
    """Return the parameters after one step of EM, as in any textbook."""
    normal = [stats.multivariate_normal(m, c) for m, c in zip(means, covariances, strict=True)]
    joint = np.log(weights)[:, None] + np.array([one.logpdf(y) for one in normal])
    shares = np.exp(joint - logsumexp(joint, axis=0))
    means = [np.average(y, axis=0, weights=share) for share in shares]
    return shares.mean(1), means, [np.cov(y.T, aweights=share, ddof=0) for share in shares]


def test_a_step_of_em_is_that_of_every_row(x: np.ndarray, file: Path):
    density = density_of(GaussianMixture(2, 3), x[:300])
    y, _ = density.in_model_units(torch.from_numpy(x))
    model = density.model
    model.initialise_components(y[:300])
    start = (
        model.weights.numpy(force=True),
        model.means.numpy(force=True),
        model.covariances.numpy(force=True),
    )
    weights, means, covariances = em_step(y.numpy(), *(part.copy() for part in start))
    finish = all_rows(file, steps=1).fit(density)
    assert (finish.note, finish.ended) == ("1 step of EM on all 6,000 rows", Ending.STEPS)
    np.testing.assert_allclose(model.weights.numpy(force=True), weights, atol=1e-10)
    np.testing.assert_allclose(model.means.numpy(force=True), means, atol=1e-9)
    np.testing.assert_allclose(model.covariances.numpy(force=True), covariances, atol=1e-9)


def test_weights_count_rows(x: np.ndarray, file: Path):
    weights = np.random.default_rng(0).uniform(0.0, 3.0, ROWS)
    density = density_of(GaussianMixture(1, 3), x[:300])
    all_rows(file, given=weights).fit(density)
    y, _ = density.in_model_units(torch.from_numpy(x))
    np.testing.assert_allclose(density.model.log_prob(y).detach(), logpdf(y.numpy(), weights), atol=1e-9)


@pytest.mark.parametrize(
    ("model", "made"), [(lambda: ProbabilisticPCA(3, 1), 2), (lambda: GaussianMixture(1, 3), 3)]
)
def test_missing_cells_are_integrated_out_wherever_they_are(x: np.ndarray, model, made: int):
    holes = x.copy()
    holes[300:][np.random.default_rng(1).random((ROWS - 300, 3)) < 0.1] = np.nan
    one, other = (density_of(model(), x[:300]) for _ in range(2))
    for density in (one, other):
        density.model.initialise_components(density.in_model_units(torch.from_numpy(x[:300]))[0])
    # None is missing in the sample, which is no reason to expect none.
    finish = all_rows(holes, steps=2).fit(one)
    assert "2 steps of EM" in finish.note
    y, _ = other.in_model_units(torch.from_numpy(holes))
    for _ in range(made):
        other.model.update(other.model.statistics(y))
    assert torch.allclose(one.model.log_prob(y), other.model.log_prob(y), atol=1e-8)


def test_the_sums_do_not_depend_on_who_reads_the_stretches(file: Path, x: np.ndarray):
    rows = all_rows(file).rows
    assert [part.rows_before for part in rows.stretches] == list(range(0, ROWS, GROUP))
    density = density_of(GaussianMixture(1, 3), x)
    blocks = [block for shard in range(rows.shards) for block, _ in rows.blocks(density, shard)]
    assert [len(block) for block in blocks] == [GROUP] * (ROWS // GROUP) + [ROWS % GROUP]
    y, _ = density.in_model_units(torch.from_numpy(x))
    assert torch.equal(torch.cat(blocks), y)


def test_a_bad_cell_beyond_the_sample_is_named(x: np.ndarray, tmp_path: Path):
    bad = x.copy()
    bad[5123, 1] = np.inf
    table = open_table(written(bad, tmp_path / "t.parquet"))
    sample = open_table({name: x[:300, place] for place, name in enumerate("abc")})
    rows = StreamedRows(table=table, schema=infer_schema(sample), seed=0)
    budget = Budget(seconds=float("inf"), rows=300, kinds=["normal"] * 3)
    with pytest.raises(DataError) as caught:
        FitToAllRows(rows=rows, count=ROWS, budget=budget, holes=False).fit(
            density_of(GaussianMixture(1, 3), x)
        )
    assert (caught.value.row, caught.value.column) == (5124, "b")


def test_a_stop_leaves_the_model_of_the_sample(x: np.ndarray, file: Path):
    density = density_of(GaussianMixture(1, 3), x[:300])
    before = {name: value.clone() for name, value in density.state_dict().items()}
    stage = all_rows(file)
    asked = iter([False, False, True])
    budget = Budget(
        seconds=float("inf"), rows=300, kinds=["normal"] * 3, should_stop=lambda: next(asked, True)
    )
    finish = FitToAllRows(rows=stage.rows, count=ROWS, budget=budget, holes=False).fit(density)
    assert finish.ended is Ending.INTERRUPTED
    assert all(torch.equal(value, before[name]) for name, value in density.state_dict().items())


@pytest.mark.parametrize(
    ("model", "passes"),
    [
        (lambda: GaussianMixture(2, 3), 4),
        (lambda: GaussianMixture(1, 3), 1),
        (lambda: FactorAnalysis(3, 1), 1),
    ],
    ids=["EM", "one step", "closed form"],
)
def test_a_stop_within_a_pass_loses_no_row(
    model, passes: int, x: np.ndarray, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    read: list[int] = []

    def counted(density, noisy, *rest):
        read.append(len(noisy))
        return as_modelled(density, noisy, *rest)

    monkeypatch.setattr(streamed_rows, "as_modelled", counted)

    def fitted(rows_until_stop: float, **kept) -> tuple[Ending, str]:
        density = density_of(model(), x[:300])
        density.model.initialise_components(density.in_model_units(torch.from_numpy(x[:300]))[0])
        stops = lambda: sum(read) >= rows_until_stop  # noqa: E731
        stage = all_rows(file, steps=3)
        budget = replace(stage.budget, should_stop=stops, journal=journal_of(**kept, should_stop=stops))
        ended = replace(stage, budget=budget).fit(density).ended
        content = b"".join(tensor.numpy().tobytes() for tensor in density.state_dict().values())
        return ended, hashlib.sha256(content).hexdigest()

    none = {"checkpoint": None, "resume": None, "every": 30.0}
    whole = fitted(math.inf, **none)
    assert sum(read) == passes * ROWS
    # One run that is stopped again and again, within every pass.
    folder = {"checkpoint": tmp_path / "run", "resume": tmp_path / "run", "every": 30.0}
    read.clear()
    for rows in range(1000, passes * ROWS, 2500):
        assert fitted(rows, **folder)[0] is Ending.INTERRUPTED
    assert fitted(math.inf, **folder) == whole
    assert sum(read) == passes * ROWS


def test_no_time_left_still_takes_one_step(x: np.ndarray, file: Path):
    density = density_of(GaussianMixture(2, 3), x[:300])
    density.model.initialise_components(density.in_model_units(torch.from_numpy(x[:300]))[0])
    stage = all_rows(file)
    late = Budget(seconds=-1.0, rows=300, kinds=["normal"] * 3)
    finish = FitToAllRows(rows=stage.rows, count=ROWS, budget=late, holes=False).fit(density)
    assert (finish.note, finish.ended) == ("1 step of EM on all 6,000 rows", Ending.TIME)


def test_a_sample_is_announced_with_what_all_rows_cost(file: Path, short_memory: None):
    said: list[str] = []
    result = logpx.fit("gmm", file, components=2, max_steps=3, report=said.append)
    (line,) = [text for text in said if "--all-rows" in text]
    assert "a uniform sample of 400 of the 6,000 rows is fitted" in line
    assert re.search(
        r"gaussian, gmm, ppca, fa or mppca to all of them, for \d+ s or more for each step of EM", line
    )
    assert "fitted to a uniform sample of 400 of the 6,000 rows" in result.notes
    assert any("fitted to a sample of 200 of 300 rows" in note for note in result.notes)


@pytest.mark.parametrize("model", ["nsf", "vae", "autoregressive"])
def test_models_trained_by_gradients_are_refused(file: Path, model: str):
    with pytest.raises(UsageError) as caught:
        logpx.fit(model, file, all_rows=True)
    assert "gaussian, gmm, ppca, fa or mppca" in caught.value.fix


def test_all_rows_of_a_short_table_are_fitted_anyway(x: np.ndarray):
    results = [logpx.fit("gaussian", x[:500], max_steps=3, all_rows=flag) for flag in (False, True)]
    first, second = (
        hashlib.sha256(b"".join(t.numpy().tobytes() for t in one.model.state_dict().values())).hexdigest()
        for one in results
    )
    assert first == second
