"""Are rows that `logpx anomalies table.csv` selects wrong ones? False discoveries in tables of every kind.

Made-up tables of 800 rows, of labels, grades, counts, values that repeat, numbers, heavy tails, and a
mixture of these, in which some rows have one wrong number, ten to fifty times too large (or as many
deviations, in columns with 0 or negative values). Or a tenth of the rows lie together, far from the others.
For each kind the share of usual rows among the selected, with its standard error over repetitions, and the
share of the wrong rows that are found.

Run: python benchmarks/anomalies_own_rows.py [--kinds NAME ...] [--repetitions N] [--level 0.05]

With `--append FILE` each repetition is kept as it is done, and not repeated when the script is run again.
"""

from __future__ import annotations

import argparse
import functools
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from anomalies_validity import Kept
from numpy.random import Generator

from logpx.detection.own_judgement import judged_among_themselves
from logpx.scoring import benjamini_hochberg
from logpx.tables import infer_schema, open_table
from logpx.tables.coding import RowCoding
from logpx.tables.schema.matrix import to_matrix

ROWS = 800


def labels(random: Generator, n: int) -> pd.DataFrame:
    region = random.choice(list("abcdefgh"), n, p=[0.3, 0.25, 0.2, 0.1, 0.06, 0.05, 0.03, 0.01])
    means = dict(zip("abcdefgh", random.normal(3.0, 0.5, 8), strict=True))
    price = np.exp(np.array([means[one] for one in region]) + 0.4 * random.normal(size=n)).round(2)
    return pd.DataFrame(
        {
            "price": price,
            "cost": (price * random.lognormal(-0.5, 0.1, n)).round(2),
            "region": region,
            "channel": random.choice(["web", "shop", "post"], n, p=[0.7, 0.28, 0.02]),
            "payment": random.choice(["card", "cash", "bill", "gift"], n, p=[0.6, 0.3, 0.09, 0.01]),
        }
    )


def sales(random: Generator, n: int) -> pd.DataFrame:
    price = np.exp(3.0 + 0.5 * random.normal(size=n)).round(2)
    return pd.DataFrame(
        {
            "price": price,
            "quantity": 1 + random.poisson(1.5, n),
            "rating": random.choice([1, 2, 4, 5], n, p=[0.05, 0.05, 0.3, 0.6]),
            "region": random.choice(list("abcdef"), n, p=[0.4, 0.3, 0.2, 0.06, 0.03, 0.01]),
            "channel": random.choice(["web", "shop", "post"], n, p=[0.7, 0.28, 0.02]),
        }
    )


def grades(random: Generator, n: int) -> pd.DataFrame:
    quality = random.normal(size=n)
    rating = np.digitize(quality + 0.5 * random.normal(size=n), [-1.9, -1.3, -0.5, 0.3]) + 1
    return pd.DataFrame(
        {
            "price": np.exp(3.0 + 0.4 * quality + 0.3 * random.normal(size=n)).round(2),
            "rating": rating,
            "service": random.choice([1, 2, 4, 5], n, p=[0.05, 0.05, 0.3, 0.6]),
            "returns": random.choice([0, 1, 2, 3], n, p=[0.85, 0.1, 0.04, 0.01]),
        }
    )


def counts(random: Generator, n: int) -> pd.DataFrame:
    size = random.lognormal(1.0, 0.7, n)
    return pd.DataFrame(
        {
            "orders": random.poisson(size),
            "visits": random.poisson(8.0 * size),
            "calls": random.poisson(0.3, n),
            "days": random.negative_binomial(2, 0.1, n),
        }
    )


def spikes(random: Generator, n: int) -> pd.DataFrame:
    wage = random.lognormal(10.0, 0.5, n).round()
    bonus = np.where(random.random(n) < 0.7, 0.0, (wage * random.lognormal(-2.0, 0.7, n)).round())
    gains = np.where(random.random(n) < 0.93, 0.0, random.lognormal(7.0, 1.2, n).round())
    hours = np.where(random.random(n) < 0.6, 40.0, random.normal(38.0, 9.0, n).round(1))
    return pd.DataFrame({"wage": wage, "bonus": bonus, "gains": gains, "hours": hours})


def mixed(random: Generator, n: int) -> pd.DataFrame:
    parts = [
        labels(random, n)[["price", "cost", "region", "payment"]],
        grades(random, n)[["rating", "returns"]],
    ]
    return pd.concat([*parts, counts(random, n)[["visits"]], spikes(random, n)[["bonus"]]], axis=1)


def numbers(random: Generator, n: int) -> pd.DataFrame:
    z = random.normal(size=(n, 2))
    a = z[:, 0] + 0.2 * random.normal(size=n)
    each = {"a": a, "b": np.exp(a + 0.3 * z[:, 1]), "c": z[:, 1], "d": 5.0 * z[:, 1] + random.normal(size=n)}
    return pd.DataFrame(each)


def heavy(random: Generator, n: int) -> pd.DataFrame:
    z = random.standard_t(3, size=(n, 4))
    z[:, 1] += 2.0 * z[:, 0]
    return pd.DataFrame(z, columns=list("abcd"))


KINDS: dict[str, Callable[[Generator, int], pd.DataFrame]] = {
    own.__name__: own for own in (sales, labels, grades, counts, spikes, mixed, numbers, heavy)
}


def with_wrong_cells(frame: pd.DataFrame, count: int, random: Generator) -> pd.DataFrame:
    """Return the table with one wrong number in each of the first rows: ten to fifty times too large."""
    found = frame.copy()
    names = list(frame.select_dtypes("number"))
    for row in range(count):
        name = random.choice(names)
        column = frame[name]
        factor = 10.0 + 40.0 * random.random()
        low = column.min()
        value = column.loc[row] * factor if low > 0.0 else column.loc[row] + factor * column.std()
        found[name] = found[name].astype(float)
        found.loc[row, name] = round(value) if (column == column.round()).all() else round(value, 2)
    return found


def with_cluster(frame: pd.DataFrame, count: int, random: Generator) -> pd.DataFrame:
    """Return the table with its first rows close together, 4 deviations off in every column of numbers."""
    found = frame.copy()
    first = found.index[:count]
    for name in frame.select_dtypes("number"):
        column = frame[name]
        value = column.mean() + 4.0 * column.std() * (1.0 if column.min() >= 0.0 else random.choice([-1, 1]))
        near = value + 0.1 * column.std() * random.normal(size=count)
        whole = bool((column == column.round()).all())
        found[name] = found[name].astype(float)
        found.loc[first, name] = near.round() if whole else near.round(2)
    return found


def measured(kind: str, planted: str, seed: int) -> list[list[float]]:
    """Return for each level the share of false discoveries, and the share found."""
    random = np.random.default_rng([seed, list(KINDS).index(kind)])
    frame = KINDS[kind](random, ROWS)
    count = {"none": 0, "2 % of wrong cells": 16, "5 % of wrong cells": 40, "10 % in a cluster": 80}[planted]
    if count:
        frame = (with_cluster if "cluster" in planted else with_wrong_cells)(frame, count, random)
    table = open_table(frame)
    schema = infer_schema(table)
    x = np.concatenate([to_matrix(batch, schema, missing=True) for batch in table.batches()])
    coding = RowCoding.of(x, [len(column.levels or ()) for column in schema.modelled])
    _, p_values = judged_among_themselves(x, coding, seed=seed)
    lines = []
    for level in (0.05, 0.1):
        chosen = benjamini_hochberg(p_values, level)
        lines.append([chosen[count:].sum() / max(1, chosen.sum()), chosen[:count].mean() if count else 0.0])
    return [[float(value) for value in line] for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--planted", nargs="*")
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--append", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    kept = Kept(options.append)
    print("| table | planted | false at 0.05 | found | false at 0.1 | found |")
    print("|---" * 6 + "|", flush=True)
    for kind in options.kinds:
        for planted in options.planted or ["2 % of wrong cells", "5 % of wrong cells", "10 % in a cluster"]:
            each = np.array(
                [
                    kept.result([kind, planted, seed], functools.partial(measured, kind, planted, seed))
                    for seed in range(options.repetitions)
                ]
            )
            error = each[:, :, 0].std(0) / np.sqrt(len(each))
            cells = [
                f"{each[:, level, 0].mean():.3f} ± {error[level]:.3f} | {each[:, level, 1].mean():.2f}"
                for level in (0, 1)
            ]
            print(f"| {kind} | {planted} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
