"""Held-out log p of tables of numbers and labels: `fit` with no flag beside models of mixed tables.

Peers are adversarial random forests (`arfpy`), CrossCat (`pylace`) and sum-product networks learned by
LearnSPN (`spflow`); each that is not installed is left out, and the output says so. Every number lies on a
grid of step s, its decimals, and logpx counts the mass m of a cell as m/s. Peers are densities: they see
numbers spread evenly over their cells, and a test row counts as the log of its mean density at several points
of its cell, an estimate of the same m/s that is at most a little too low. A hundredth of a peer's density is
that of independent columns, so that a value outside all its leaves costs nats and not everything. Rows with
holes are left out, because two of the peers cannot have them, and test rows with labels that no training row
has.

Run: python benchmarks/mixed_tables.py --data FOLDER [--tables NAME ...] [--models NAME ...]
     [--seconds S] [--rows N] [--seed N]

FOLDER holds `adult/adult.data` and `adult/adult.test` and `air-quality/AirQualityUCI.csv` as UCI has them,
and `adbench/32_shuttle.npz` as ADBench does.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from adult import rows as adult_rows
from numpy.typing import NDArray
from scipy.special import logsumexp
from scipy.stats import cauchy, truncnorm

from logpx.tables import fit_table

Array = NDArray[np.float64]

POINTS = 16
MARGINAL_SHARE = 0.01


@dataclass(frozen=True)
class Rows:
    """Training and test rows without holes, and the steps of the columns of numbers."""

    training: pd.DataFrame
    test: pd.DataFrame
    steps: dict[str, float]


def divided(frame: pd.DataFrame, steps: dict[str, float], most: int, seed: int) -> Rows:
    """Return at most `most` training rows and half as many test rows, drawn at random."""
    shuffled = frame.dropna().sample(frac=1.0, random_state=seed, ignore_index=True)
    training = min(most, 2 * len(shuffled) // 3)
    return known(Rows(shuffled[:training], shuffled[training : training + most // 2], steps))


def known(rows: Rows) -> Rows:
    """Leave out test rows with labels that no training row has: some models find them impossible."""
    labels = [name for name in rows.training if name not in rows.steps]
    seen = pd.concat([rows.test[name].isin(rows.training[name].unique()) for name in labels], axis=1)
    return Rows(rows.training, rows.test[seen.all(axis=1)].reset_index(drop=True), rows.steps)


def adult(folder: Path, most: int, seed: int) -> Rows:
    """Return the census rows: 6 columns of whole numbers, 9 of labels."""
    training = adult_rows(folder / "adult" / "adult.data", 0)
    test = adult_rows(folder / "adult" / "adult.test", 1)
    steps = {name: 1.0 for name in training.select_dtypes("number")}
    chosen = test.dropna().sample(most // 2, random_state=seed)
    return known(Rows(divided(training, steps, most, seed).training, chosen, steps))


def air_quality(folder: Path, most: int, seed: int) -> Rows:
    """Return hourly measurements: 11 columns of numbers; hour, weekday and month are labels."""
    frame = pd.read_csv(folder / "air-quality" / "AirQualityUCI.csv")
    when = pd.to_datetime(frame.pop("Datetime"), format="%d/%m/%Y %H:%M:%S")
    # Nine tenths of the one are holes, and the other follows from temperature and relative humidity.
    frame = frame.drop(columns=["NMHC(GT)", "AH"])
    steps = {name: 1.0 for name in frame}
    steps |= dict.fromkeys(("CO(GT)", "C6H6(GT)", "T", "RH"), 0.1)
    frame["hour"], frame["weekday"] = when.dt.strftime("%H h"), when.dt.day_name()
    frame["month"] = when.dt.month_name()
    return divided(frame, steps, most, seed)


def shuttle(folder: Path, most: int, seed: int) -> Rows:
    """Return states of a space shuttle: 9 columns of whole numbers, and whether they are usual."""
    with np.load(folder / "adbench" / "32_shuttle.npz") as arrays:
        frame = pd.DataFrame(arrays["X"], columns=[f"sensor {index}" for index in range(1, 10)])
        steps = {name: 1.0 for name in frame}
        frame["state"] = np.where(arrays["y"] == 1, "unusual", "usual")
    return divided(frame, steps, most, seed)


TABLES: dict[str, Callable[[Path, int, int], Rows]] = {
    "adult": adult,
    "air-quality": air_quality,
    "shuttle": shuttle,
}


class Model(ABC):
    """A density of rows, fitted to some."""

    needs = "logpx"

    @abstractmethod
    def log_prob(self, rows: Rows, seconds: float, seed: int) -> tuple[Array, str]:
        """Fit, and return log p of each test row and what was fitted."""


class Own(Model):
    """`fit_table`, with or without the name of a model."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def log_prob(self, rows: Rows, seconds: float, seed: int) -> tuple[Array, str]:
        named = {} if self.name is None else {"model": self.name}
        result = fit_table(rows.training, max_time=seconds, seed=seed, **named)
        model = result.model
        # A coarser grid than that of the decimals counts a mass in larger steps.
        unit = 0.0
        for column in model.schema.modelled:
            if column.name in rows.steps:
                if column.step is None or not column.uniform or column.atoms:
                    raise SystemExit(f"{column.name} has no grid, so densities cannot be compared")
                unit += math.log(column.step / rows.steps[column.name])
        scored = np.concatenate([batch.log_prob for batch in model.score(rows.test)])
        return scored + unit, f"{result.chosen.model} ({model.kind})"


class Peer(Model):
    """A density of numbers and codes of labels, mixed with that of independent columns."""

    def log_prob(self, rows: Rows, seconds: float, seed: int) -> tuple[Array, str]:
        rng = np.random.default_rng(seed)
        labels = {
            name: sorted(set(rows.training[name]) | set(rows.test[name]))
            for name in rows.training
            if name not in rows.steps
        }

        def spread(frame: pd.DataFrame) -> pd.DataFrame:
            columns = {}
            for name in frame:
                if name in rows.steps:
                    noise = rng.uniform(-0.5, 0.5, len(frame))
                    columns[name] = frame[name].to_numpy(float) + rows.steps[name] * noise
                else:
                    columns[name] = pd.Categorical(frame[name], categories=labels[name])
            return pd.DataFrame(columns)

        training = spread(rows.training)
        density = self.fitted(training, seconds, seed)
        independent = marginals(rows)
        parts = []
        for _ in range(POINTS):
            parts.append(density(spread(rows.test)))
        of_peer = logsumexp(parts, axis=0) - math.log(POINTS)
        mixed = np.logaddexp(
            math.log1p(-MARGINAL_SHARE) + of_peer, math.log(MARGINAL_SHARE) + independent(rows.test)
        )
        return mixed, f"{np.isneginf(of_peer).mean():.1%} of rows outside"

    @abstractmethod
    def fitted(self, training: pd.DataFrame, seconds: float, seed: int) -> Callable[[pd.DataFrame], Array]:
        """Return the log-density that was fitted, of rows with numbers and categories."""


def marginals(rows: Rows) -> Callable[[pd.DataFrame], Array]:
    """Return log p of independent columns.

    Values that were seen have their frequencies; as much mass as those seen once have (Good and Turing)
    goes to all values of a column, by a histogram of 64 quantiles and a heavy tail.
    """

    def log_prob(frame: pd.DataFrame) -> Array:
        total = np.zeros(len(frame))
        for name in frame:
            seen = rows.training[name].value_counts()
            unseen = max(int((seen == 1).sum()), 1)
            if name in rows.steps:
                everywhere = histogram(rows.training[name].to_numpy(float), frame[name].to_numpy(float))
                step = rows.steps[name]
            else:
                everywhere, step = np.full(len(frame), 1.0 / (len(seen) + 1)), 1.0
            frequency = frame[name].map(seen).fillna(0.0).to_numpy(float) / step
            total += np.log((frequency + unseen * everywhere) / (seen.sum() + unseen))
        return total

    return log_prob


def histogram(training: Array, values: Array) -> Array:
    """Return a density of values: a histogram of quantiles of the training values, and a Cauchy density."""
    edges = np.unique(np.quantile(training, np.linspace(0.0, 1.0, 65)))
    counts, edges = np.histogram(training, edges)
    heights = np.append(counts / counts.sum() / np.diff(edges), 0.0)
    inside = (values >= edges[0]) & (values < edges[-1])
    found = np.where(inside, heights[np.clip(np.searchsorted(edges, values, side="right") - 1, 0, None)], 0.0)
    return 0.9 * found + 0.1 * cauchy.pdf(values, np.median(training), training.std())


class Independent(Model):
    """Independent columns."""

    def log_prob(self, rows: Rows, seconds: float, seed: int) -> tuple[Array, str]:
        return marginals(rows)(rows.test), ""


class AdversarialForest(Peer):
    """Adversarial random forests: truncated normals and smoothed frequencies in the leaves of all trees.

    References
    ----------
    Watson, Blesch, Kapar and Wright 2023, Adversarial random forests for density estimation.
    """

    needs = "arfpy"

    def fitted(self, training: pd.DataFrame, seconds: float, seed: int) -> Callable[[pd.DataFrame], Array]:
        # arfpy 0.1.1 calls a function that NumPy 2.4 no longer has.
        vars(np).setdefault("in1d", np.isin)
        from arfpy.arf import arf

        np.random.seed(seed)  # noqa: NPY002 - arfpy draws from the global generator
        coded = training.copy()
        forest = arf(coded, num_trees=30, verbose=False, random_state=seed)
        parameters = forest.forde()
        labels = [name for name in training if forest.factor_cols[name]]
        numbers = [name for name in training if not forest.factor_cols[name]]
        cover = forest.bnds.drop_duplicates(["tree", "nodeid"]).set_index(["tree", "nodeid"])["cvg"]
        place = {leaf: index for index, leaf in enumerate(cover.index)}
        log_cover = np.log(cover.to_numpy(float))
        normals = {
            name: group.set_index(["tree", "nodeid"])
            .reindex(cover.index)[["mean", "sd", "min", "max"]]
            .to_numpy(float)
            for name, group in parameters["cnt"].groupby("variable")
        }
        # A label that a leaf has not seen counts as seen once; arfpy's own smoothing wants as many labels in
        # each column.
        counts = {name: np.ones((len(place), len(training[name].cat.categories))) for name in labels}
        for row in parameters["cat"].itertuples():
            leaf = place.get((row.tree, row.nodeid))
            if leaf is not None:
                counts[row.variable][leaf, int(row.value)] += row.prob * cover.iloc[leaf] * len(training)
        log_shares = {name: np.log(each / each.sum(1, keepdims=True)) for name, each in counts.items()}

        def log_density(frame: pd.DataFrame) -> Array:
            columns = {name: frame[name].cat.codes if name in labels else frame[name] for name in frame}
            leaves = forest.clf.apply(pd.DataFrame(columns))
            result = np.full((forest.num_trees, len(frame)), -np.inf)
            for tree in range(forest.num_trees):
                leaf = np.array([place.get((tree, node), -1) for node in leaves[:, tree]])
                found = np.where(leaf < 0, -np.inf, log_cover[leaf])
                for name in numbers:
                    mean, scale, low, high = normals[name][leaf].T
                    scale = np.maximum(scale, 1e-9)
                    ends = ((low - mean) / scale, (high - mean) / scale)
                    found += truncnorm.logpdf(frame[name].to_numpy(float), *ends, mean, scale)
                for name in labels:
                    found += log_shares[name][leaf, frame[name].cat.codes]
                result[tree] = found
            return logsumexp(result, axis=0) - math.log(forest.num_trees)

        return log_density


class CrossCat(Peer):
    """CrossCat by Lace: four states, sampled for the given time.

    References
    ----------
    Mansinghka et al. 2016, CrossCat: a fully Bayesian nonparametric method for analyzing heterogeneous,
    high dimensional data.
    """

    needs = "lace"

    def fitted(self, training: pd.DataFrame, seconds: float, seed: int) -> Callable[[pd.DataFrame], Array]:
        import lace
        import polars

        def plain(frame: pd.DataFrame) -> polars.DataFrame:
            return polars.DataFrame(
                {
                    name: frame[name].astype(str).tolist()
                    if isinstance(frame[name].dtype, pd.CategoricalDtype)
                    else frame[name].tolist()
                    for name in frame
                }
            )

        table = plain(training).with_columns(polars.Series("ID", range(len(training))).cast(polars.String))
        engine = lace.Engine.from_df(table.select(["ID", *training]), n_states=4, rng_seed=seed)
        engine.update(100_000, timeout=max(1, round(seconds)))
        known = {name: set(training[name].astype(str)) for name in training}

        def log_density(frame: pd.DataFrame) -> Array:
            result = np.full(len(frame), -np.inf)
            familiar = np.ones(len(frame), bool)
            for name in frame:
                if isinstance(frame[name].dtype, pd.CategoricalDtype):
                    familiar &= frame[name].astype(str).isin(known[name]).to_numpy()
            result[familiar] = engine.logp(plain(frame[familiar])).to_numpy()
            return result

        return log_density


class SumProductNetwork(Peer):
    """A sum-product network by LearnSPN: normals and frequencies, 200 rows for each clustering at least.

    References
    ----------
    Gens and Domingos 2013, Learning the structure of sum-product networks.
    """

    needs = "spflow"

    def fitted(self, training: pd.DataFrame, seconds: float, seed: int) -> Callable[[pd.DataFrame], Array]:
        from spflow.learn.learn_spn import learn_spn
        from spflow.meta.data.scope import Scope
        from spflow.modules.leaves import Categorical, Normal

        torch.manual_seed(seed)
        leaves, centres, scales = [], {}, {}
        for index, name in enumerate(training):
            if isinstance(training[name].dtype, pd.CategoricalDtype):
                leaves.append(fixed_size(Categorical, len(training[name].cat.categories))(Scope([index])))
            else:
                centres[name], scales[name] = training[name].mean(), training[name].std()
                leaves.append(Normal(scope=Scope([index]), out_channels=1))

        def matrix(frame: pd.DataFrame) -> torch.Tensor:
            columns = [
                (frame[name] - centres[name]) / scales[name] if name in centres else frame[name].cat.codes
                for name in frame
            ]
            return torch.tensor(np.column_stack(columns), dtype=torch.float32)

        network = learn_spn(
            matrix(training),
            leaves,
            min_instances_slice=200,
            clustering_args={"preprocessing": standardised},
            partitioning_args={"preprocessing": varying},
        )
        jacobian = -sum(math.log(scale) for scale in scales.values())

        def log_density(frame: pd.DataFrame) -> Array:
            with torch.no_grad():
                return network.log_likelihood(matrix(frame)).flatten().double().numpy() + jacobian

        return log_density


def standardised(data: torch.Tensor) -> torch.Tensor:
    """Return columns of mean 0 and deviation 1, so that codes of labels do not rule the clusters."""
    return (data - data.mean(0)) / data.std(0).clamp_min(1e-6)


def varying(data: torch.Tensor) -> torch.Tensor:
    """Return columns with a little noise: spflow 1.1.0 finds no dependence of a column that is constant."""
    return data + 1e-6 * torch.randn_like(data)


def fixed_size(leaf: type, size: int) -> type:
    """Return leaves of `size` labels, smoothed: LearnSPN makes its leaves from a class without arguments."""

    class Sized(leaf):  # type: ignore[misc, valid-type]
        def __init__(self, scope: object, out_channels: int = 1) -> None:
            super().__init__(scope=scope, out_channels=out_channels, K=size)

        def _compute_parameter_estimates(
            self, data: torch.Tensor, weights: torch.Tensor, bias_correction: bool
        ) -> dict[str, torch.Tensor]:
            del weights, bias_correction
            counts = torch.bincount(data.flatten().long(), minlength=size) + 1.0
            return {"probs": (counts / counts.sum()).expand_as(self.probs).clone()}

    return Sized


MODELS: dict[str, Model] = {
    "fit with no flag": Own(),
    "gmm": Own("gmm"),
    "vae": Own("vae"),
    "adversarial forests": AdversarialForest(),
    "Lace": CrossCat(),
    "sum-product network": SumProductNetwork(),
    "independent columns": Independent(),
}


def main() -> None:
    """Print one row of Markdown per table and model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| table | rows × columns | model | log p of test rows | seconds | |\n|---|---|---|---|---|---|")
    for table in options.tables:
        rows = TABLES[table](options.data, options.rows, options.seed)
        shape = f"{len(rows.training)} × {rows.training.shape[1]}"
        for name in options.models:
            model = MODELS[name]
            if importlib.util.find_spec(model.needs) is None:
                print(f"| {table} | {shape} | {name} | {model.needs} is not installed | | |", flush=True)
                continue
            began = time.monotonic()
            scored, note = model.log_prob(rows, options.seconds, options.seed)
            error = scored.std() / math.sqrt(len(scored))
            cells = [table, shape, name, f"{scored.mean():.3f} ± {error:.3f}"]
            cells += [f"{time.monotonic() - began:.0f}", note]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
