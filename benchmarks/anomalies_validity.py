"""Do p-values of `logpx anomalies` keep their promise? Uniformity, and the rate of false discoveries.

Uniformity: a model is fitted to 80 % of a table's rows in random order, and the p-values of the other rows,
as `logpx.anomalies` gives them, are compared with a uniform distribution (Kolmogorov and Smirnov). The scores
set aside are a sample, too: where they are few, p-values of many new rows differ from uniform ones by as much
as the sample does. The second p-value is that of the same distance for two samples, which allows for it; of
all tests one in a hundred is below 0.01 by chance. `--splits` repeats it with other rows.

False discoveries: to 400 new rows of the kind of the fit 40 rows are added, in each of which one column is
shifted; the share of the former among selected rows is averaged over repetitions.

Run: python benchmarks/anomalies_validity.py --data FOLDER [--families NAME ...] [--splits N] [--rows N]

FOLDER holds `uci-regression/NAME/data.csv.gz` and `adbench/*_NAME.npz`. With `--append FILE` each result is
kept as it is done, and left out when the script is run again.
"""

from __future__ import annotations

import argparse
import functools
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

import logpx
from logpx.errors import LogpxError
from logpx.scoring import benjamini_hochberg
from logpx.tables import fit_table

Array = NDArray[np.float64]
T = TypeVar("T")


def tables(folder: Path) -> Iterator[tuple[str, Array]]:
    for path in sorted(folder.glob("adbench/*.npz")):
        content = np.load(path)
        yield path.stem.split("_", 1)[1], content["X"].astype(np.float64)[content["y"].ravel() == 0]
    for path in sorted(folder.glob("uci-regression/*/data.csv.gz")):
        yield path.parent.name, np.loadtxt(path, delimiter=",")


class Kept:
    """Results in a file, each by what it is of.

    Parameters
    ----------
    path
        The file, of which every line is a key and a result; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []
        self.known = dict(map(json.loads, lines))

    def result(self, key: list[object], measure: Callable[[], T]) -> T:
        """Return a result, measured if it is not known."""
        name = json.dumps(key)
        if name not in self.known:
            self.known[name] = measure()
            if self.path:
                with open(self.path, "a", encoding="utf-8") as stream:
                    stream.write(json.dumps([name, self.known[name]]) + "\n")
        return self.known[name]


def uniformity(options: argparse.Namespace, kept: Kept) -> None:
    print("| table | family | split | rows set aside | new rows | KS, uniform | KS, two samples | p ≤ 0.05 |")
    print("|---" * 8 + "|", flush=True)
    found: list[tuple[float, float, float]] = []
    for name, x in tables(options.data):
        if options.tables and name not in options.tables:
            continue
        for split in range(options.splits):
            for number, family in enumerate(options.families):
                # Rows of its own, or else chance would strike all families of a table alike.
                random = np.random.default_rng([split, number])
                own = x[random.permutation(len(x))[: options.rows]]
                measured = kept.result(
                    ["uniformity", name, family, split, options.rows, options.seconds],
                    functools.partial(_uniformity, own, family, options.seconds),
                )
                if isinstance(measured, str):
                    print(f"| {name} | {family} | {split} | {measured} | | | | |", flush=True)
                    continue
                source, count, one, two, share = measured
                found.append((one, two, share))
                print(
                    f"| {name} | {family} | {split} | {source} | {count} | {one:.3f} | {two:.3f} "
                    f"| {share:.3f} |",
                    flush=True,
                )
    each = np.array(found)
    one, two = (each[:, :2] < 0.01).sum(0)
    print(
        f"\nBelow 0.01: {one} of {len(found)} by the test against a uniform distribution, {two} by that of "
        f"two samples, of which {0.01 * len(found):.1f} are to be expected. P-values of the latter: median "
        f"{np.median(each[:, 1]):.2f}, uniform with p {stats.kstest(each[:, 1], 'uniform').pvalue:.2f}; "
        f"p ≤ 0.05 for {each[:, 2].mean():.4f} ± {each[:, 2].std() / np.sqrt(len(each)):.4f} of the rows."
    )


def _uniformity(x: Array, family: str, seconds: float) -> tuple[str, int, float, float, float] | str:
    """Return the rows set aside, and the number, two tests and a share of new ones; or why there are none."""
    cut = int(0.8 * len(x))
    try:
        model = fit_table(x[:cut], family, max_time=seconds).model
        p = logpx.anomalies(model, x[cut:], everything=True, explain=False).table["p_value"].to_numpy()
    except LogpxError as error:
        return error.message
    one = stats.kstest(p, "uniform")
    count = model.calibration.rows
    two = stats.kstwobign.sf(one.statistic * np.sqrt(count * len(p) / (count + len(p))))
    return model.calibration.source, len(p), float(one.pvalue), float(two), float(np.mean(p <= 0.05))


def simulated(count: int, random: np.random.Generator) -> Array:
    z = random.normal(size=(count, 2))
    a = z[:, 0] + 0.2 * random.normal(size=count)
    return np.column_stack(
        [a, np.exp(a + 0.3 * z[:, 1]), z[:, 1], (5.0 * z[:, 1] + random.normal(size=count)).round()]
    )


def false_discoveries(options: argparse.Namespace, kept: Kept) -> None:
    print("| family | rows set aside | rate asked for | share of false discoveries | found of planted |")
    print("|---" * 5 + "|")
    for family in options.families:
        source, *lines = kept.result(
            ["false discoveries", family, options.repetitions, options.seconds],
            functools.partial(_false_discoveries, family, options.seconds, options.repetitions),
        )
        for level, mean, error, planted in lines:
            print(f"| {family} | {source} | {level} | {mean:.4f} ± {error:.4f} | {planted:.2f} |", flush=True)


def _false_discoveries(family: str, seconds: float, repetitions: int) -> list[object]:
    """Return the rows set aside; rate, share of false discoveries, its standard error and share found."""
    random = np.random.default_rng(1)
    model = fit_table(simulated(3000, random), family, max_time=seconds).model
    shares: dict[float, list[tuple[float, float]]] = {0.05: [], 0.1: []}
    for _ in range(repetitions):
        usual, planted = simulated(400, random), simulated(40, random)
        columns = random.integers(0, 4, 40)
        planted[np.arange(40), columns] += 4.0 * simulated(4000, random).std(0)[columns]
        rows = np.concatenate([usual, planted])
        found = logpx.anomalies(model, rows, everything=True, explain=False).table
        p = found["p_value"].to_numpy()
        for level, each in shares.items():
            chosen = benjamini_hochberg(p, level)
            each.append((chosen[:400].sum() / max(1, chosen.sum()), chosen[400:].mean()))
    lines = []
    for level, each in shares.items():
        mean, planted_found = np.mean(each, 0)
        error = np.std([one for one, _ in each]) / np.sqrt(len(each))
        lines.append([level, float(mean), float(error), float(planted_found)])
    return [model.calibration.source, *lines]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--families", nargs="*", default=["gaussian", "gmm", "auto"])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--append", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    kept = Kept(options.append)
    if options.data:
        uniformity(options, kept)
        print()
    if options.repetitions:
        false_discoveries(options, kept)


if __name__ == "__main__":
    main()
