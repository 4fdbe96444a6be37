"""Held-out log p of `fit` with no flag on a folder of real tables, beside three peers.

Peers: a full-covariance Gaussian, scikit-learn's Gaussian mixture with the number of components chosen by
BIC, and zuko's neural spline flow on standardized columns, trained for as long as logpx took. Columns on a
grid are dequantised with the same noise for all models, so that none can profit from a spike on a
repeated value; all figures are mean nats per row in the table's units. Where a schema finds atoms, log p of
logpx there is that of their mass, and cannot be compared with peers.

Run: python benchmarks/tables.py --data FOLDER [--only NAME ...] [--seconds S] [--threads N]

FOLDER holds `uci-regression/NAME/data.csv.gz` with `test_mask.csv.gz`, `adbench/*_NAME.npz`, and
`faithful.csv`, `galaxies.csv`.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import zuko
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

import logpx
from logpx.tables import fit_table

Array = NDArray[np.float64]

FOLDS, FEW_ROWS = 5, 500
COMPONENTS = (1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40)


def tables(folder: Path) -> Iterator[tuple[str, Array, NDArray[np.bool_] | None]]:
    """Yield name, rows and, where the set comes with one, the mask of test rows."""
    for name, columns in (("galaxies", (1,)), ("faithful", (1, 2))):
        path = folder / f"{name}.csv"
        if path.exists():
            yield name, np.loadtxt(path, delimiter=",", skiprows=1, usecols=columns, ndmin=2), None
    for path in sorted(folder.glob("uci-regression/*/data.csv.gz")):
        mask = np.loadtxt(path.parent / "test_mask.csv.gz", delimiter=",")[:, 0].astype(bool)
        yield path.parent.name, np.loadtxt(path, delimiter=","), mask
    for path in sorted(folder.glob("adbench/*.npz")):
        yield path.stem.split("_", 1)[1], np.load(path)["X"].astype(np.float64), None


def splits(rows: Array, mask: NDArray[np.bool_] | None) -> Iterator[tuple[Array, Array]]:
    """Yield (training, test) rows: five folds of a small table, one split of a large one."""
    if len(rows) < FEW_ROWS:
        fold = np.random.default_rng(0).permutation(np.arange(len(rows)) % FOLDS)
        for index in range(FOLDS):
            yield rows[fold != index], rows[fold == index]
        return
    if mask is None:
        mask = np.zeros(len(rows), bool)
        share = 5 if len(rows) < 2000 else 10
        mask[np.random.default_rng(0).permutation(len(rows))[: len(rows) // share]] = True
    yield rows[~mask], rows[mask]


def gaussian(training: Array, test: Array) -> Array:
    """Return log p of the test rows under a Gaussian fitted by maximum likelihood."""
    return GaussianMixture(1, reg_covar=1e-9).fit(training).score_samples(test)


def mixture(training: Array, test: Array, seconds: float) -> tuple[Array, int]:
    """Return log p under the mixture with the best BIC of those fitted in time, and its size."""
    best, least, start = None, math.inf, time.monotonic()
    for components in COMPONENTS:
        if components * 5 > len(training) or (best is not None and time.monotonic() - start > seconds):
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = GaussianMixture(components, random_state=0, max_iter=200).fit(training)
            except ValueError:
                continue
        bic = model.bic(training)
        if bic < least:
            best, least = model, bic
    assert best is not None
    return best.score_samples(test), best.n_components


def spline_flow(training: Array, test: Array, seconds: float) -> Array:
    """Return log p under zuko's neural spline flow at its best validation likelihood within the time."""
    torch.manual_seed(0)
    order = np.random.default_rng(0).permutation(len(training))
    aside = max(1, len(training) // 10)
    held_out, rows = (torch.from_numpy(training[part]).float() for part in (order[:aside], order[aside:]))
    flow = zuko.flows.NSF(training.shape[1], transforms=3, hidden_features=(128, 128))
    optimizer = torch.optim.Adam(flow.parameters(), 1e-3)
    best, state, start, step = -math.inf, None, time.monotonic(), 0
    batch = min(512, len(rows))
    every = max(25, min(200, len(rows) // batch))
    while True:
        for index in torch.randperm(len(rows)).split(batch):
            loss = -flow().log_prob(rows[index]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimizer.step()
            step += 1
            over = time.monotonic() - start > seconds
            if step % every == 0 or over:
                with torch.no_grad():
                    score = flow().log_prob(held_out).mean().item()
                if score > best:
                    best, state = score, {key: value.clone() for key, value in flow.state_dict().items()}
            if over:
                flow.load_state_dict(state or flow.state_dict())
                with torch.no_grad():
                    parts = [flow().log_prob(part) for part in torch.from_numpy(test).float().split(8192)]
                return torch.cat(parts).double().numpy()


@dataclass
class Outcome:
    """The results for one table; every mean with its standard error, in nats per row."""

    rows: int
    columns: int
    kind: str
    means: dict[str, tuple[float, float]]
    best_peer: str
    gain: tuple[float, float]
    seconds: float
    chosen: list[str]
    components: list[int]

    def markdown(self, name: str) -> str:
        """Return the row as Markdown."""
        means = [f"{mean:.3f} ± {error:.3f}" for mean, error in self.means.values()]
        gain = f"{self.gain[0]:+.3f} ± {self.gain[1]:.3f}"
        cells = [
            name,
            f"{self.rows} × {self.columns}",
            self.kind,
            *means,
            gain,
            f"{self.seconds:.0f}",
            self.chosen[0],
        ]
        return f"| {' | '.join(cells)} |"


HEADER = [
    "table",
    "rows × columns",
    "log p",
    "logpx",
    "Gaussian",
    "mixture (BIC)",
    "spline flow",
    "gain over best peer",
    "seconds",
    "chosen",
]


def compare(rows: Array, mask: NDArray[np.bool_] | None, seconds: float | None) -> Outcome:
    """Return the mean log p of the test rows under every model."""
    scores: dict[str, list[Array]] = {name: [] for name in HEADER[3:7]}
    chosen, taken, components, kind = [], [], [], ""
    for training, test in splits(rows, mask):
        start = time.monotonic()
        result = fit_table(training, max_time=seconds)
        taken.append(time.monotonic() - start)
        model, kind = result.model, result.model.kind
        chosen.append(f"{result.chosen.model} ({result.chosen.scales})")
        keep = [int(name[1:]) for name in model.schema.modelled_names]
        noisy = [
            model.supports.dequantise(torch.from_numpy(part[:, keep]), seed=seed).numpy()
            for seed, part in enumerate((training, test))
        ]
        # The mean over draws of noise, or exact where cells are modelled as they are.
        scores["logpx"].append(model.log_prob(test).double().numpy())
        centre, spread = noisy[0].mean(0), noisy[0].std(0)
        a, b = ((part - centre) / spread for part in noisy)
        shift = np.log(spread).sum()
        mixed, size = mixture(a, b, taken[-1])
        components.append(size)
        scores["Gaussian"].append(gaussian(a, b) - shift)
        scores["mixture (BIC)"].append(mixed - shift)
        scores["spline flow"].append(spline_flow(a, b, taken[-1]) - shift)
    joined = {name: np.concatenate(parts) for name, parts in scores.items()}
    peer = max((name for name in joined if name != "logpx"), key=lambda name: joined[name].mean())
    return Outcome(
        rows=len(rows),
        columns=rows.shape[1],
        kind=kind,
        means={name: mean_and_error(values) for name, values in joined.items()},
        best_peer=peer,
        gain=mean_and_error(joined["logpx"] - joined[peer]),
        seconds=max(taken),
        chosen=chosen,
        components=components,
    )


def mean_and_error(values: Array) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return float(values.mean()), float(values.std() / math.sqrt(len(values)))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--seconds", type=float, help="time for logpx; its default if not given")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the results here after each table")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"logpx {logpx.__version__}, torch {torch.__version__}, zuko {zuko.__version__}, ", end="")
    print(f"{platform.machine()}, {arguments.threads} threads")
    print(f"| {' | '.join(HEADER)} |\n{'|---' * len(HEADER)}|", flush=True)
    results: dict[str, Outcome] = {}
    for name, rows, mask in tables(arguments.data):
        if arguments.only and name not in arguments.only:
            continue
        results[name] = compare(rows, mask, arguments.seconds)
        print(results[name].markdown(name), flush=True)
        if arguments.json:
            document = {key: asdict(outcome) for key, outcome in results.items()}
            arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
