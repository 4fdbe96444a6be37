"""Figures of the guides about tables, on small tables made up here.

Run: python examples/table_figures.py [--folder docs/figures]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import torch
from figure_files import write

import logpx
from logpx import plots

matplotlib.use("agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#767676"


def people() -> dict[str, np.ndarray]:
    """Return the table of the guide to figures."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 600)
    income = np.exp(8.0 + 0.03 * age + 0.5 * rng.normal(size=600)).round()
    return {"age": age, "income": income, "owner": np.where(rng.random(600) < age / 100, "yes", "no")}


def homes() -> pd.DataFrame:
    """Return the table of the guide to missing cells."""
    rng = np.random.default_rng(0)
    area = rng.lognormal(4.5, 0.4, 2000)
    price = 3000.0 * area * rng.lognormal(0.0, 0.15, 2000)
    kind = np.where(area > 110, "house", np.where(rng.random(2000) < 0.8, "flat", "house"))
    return pd.DataFrame({"area": area, "price": price, "kind": kind})


def stones() -> pd.DataFrame:
    """Return the table of the guides to conditions and anomalies."""
    rng = np.random.default_rng(0)
    carat = rng.lognormal(-0.4, 0.5, 1500).round(2)
    cut = np.where(rng.random(1500) < 0.3, "Fair", "Ideal")
    spread = np.where(cut == "Ideal", 1.3, 1.0) * rng.lognormal(0.0, 0.15, 1500)
    return pd.DataFrame({"carat": carat, "cut": cut, "price": (4000.0 * carat**1.7 * spread).round()})


def table_pairs() -> Figure:
    """Draw real rows beside sampled ones, by pairs of columns."""
    table = people()
    model = logpx.fit("gmm", table, max_time=5, seed=0).model
    samples = model.sample(600, seed=0)
    return plots.plot_pair(table, samples, names=("rows", "samples"))[0, 0].figure


def imputed() -> Figure:
    """Draw observed cells beside those that were drawn for the holes."""
    rng = np.random.default_rng(1)
    table = homes()
    holes = table.mask(rng.random(table.shape) < 0.15)
    model = logpx.fit("gmm", holes, components=3, max_time=5, seed=0).model
    drawn = model.impute(holes, draws=20, seed=0).to_pandas().drop(columns="draw")
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.0), layout="constrained")
    plots.plot_imputed(holes, drawn, ax=axes)
    return figure


def conditional() -> Figure:
    """Draw the quantiles of a price given the size, for one label and the other."""
    table = stones()
    model = logpx.fit("gmm", table, components=4, max_time=10, seed=0).model
    predictor = model.conditional("price", given=["carat", "cut"])
    carat = np.linspace(0.25, 2.0, 60)
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained", sharey=True)
    for panel, cut in zip(axes, ("Fair", "Ideal"), strict=True):
        asked = pd.DataFrame({"carat": carat, "cut": cut})
        found = predictor.predict(asked, quantiles=(0.05, 0.5, 0.95)).to_pandas()
        low, middle, high = (found.filter(like="0.05"), found.filter(like="0.5"), found.filter(like="0.95"))
        shown = table[(table.cut == cut) & (table.carat < 2.05)]
        panel.plot(shown.carat, shown.price, ".", color=GREY, ms=3)
        panel.fill_between(carat, low.iloc[:, 0], high.iloc[:, 0], color=BLUE, alpha=0.3, lw=0)
        panel.plot(carat, middle.iloc[:, 0], color=ORANGE)
        panel.set(title=f"price given carat, cut = {cut}", xlabel="carat")
    axes[0].set_ylabel("price: median and 90 % interval")
    return figure


def anomalies() -> Figure:
    """Draw rows of a table, with the most unusual ones marked."""
    table = stones()
    usual, new = table[:1200], table[1200:].reset_index(drop=True)
    new.loc[[7, 70, 120], "price"] = [300.0, 60_000.0, 150.0]
    model = logpx.fit("gmm", usual, components=3, max_time=10, seed=0).model
    found = logpx.anomalies(model, new, top=3).table.to_pandas()
    marked = new.iloc[found["row"].to_numpy() - 1]
    figure, panel = plt.subplots(figsize=(6.0, 3.8), layout="constrained")
    panel.plot(new.carat, new.price, ".", color=GREY, ms=4, label="new rows")
    panel.plot(
        marked.carat, marked.price, "o", mfc="none", mec=ORANGE, ms=11, mew=2, label="the most unusual three"
    )
    panel.set(yscale="log", xlabel="carat", ylabel="price")
    panel.legend(frameon=False)
    return figure


def clusters() -> Figure:
    """Draw the components of a mixture."""
    rng = np.random.default_rng(0)
    middles = rng.normal(scale=4.0, size=(4, 3))
    x = np.concatenate([m + rng.normal(size=(150, 3)) @ rng.normal(scale=0.7, size=(3, 3)) for m in middles])
    model = logpx.fit("gmm", x, components=4, max_time=10, seed=0).model
    found = np.concatenate([batch.cluster for batch in model.cluster(x)])
    figure, panel = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
    plots.plot_clusters(x, found, ax=panel)
    return figure


def calibration() -> Figure:
    """Draw the probability integral transforms of good predictions and of ones that are too narrow."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=500)
    normal = torch.distributions.Normal(0.0, 1.0)
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.6), layout="constrained")
    transforms = {
        "calibrated": normal.cdf(torch.tensor(y)).numpy(),
        "too narrow": normal.cdf(torch.tensor(1.6 * y)).numpy(),
    }
    plots.plot_calibration(transforms, ax=axes)
    return figure


def typical_set() -> Figure:
    """Draw how far rows of a normal distribution are from its mode, and how much less likely than it."""
    rng = np.random.default_rng(0)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    for dimensions, colour in ((1, GREY), (10, BLUE), (100, ORANGE)):
        squares = (rng.normal(size=(20_000, dimensions)) ** 2).sum(1)
        left.hist(np.sqrt(squares), bins=80, density=True, color=colour, alpha=0.7, label=f"{dimensions}")
        right.hist(-0.5 * squares, bins=80, density=True, color=colour, alpha=0.7)
    left.set(xlabel="distance from the mode", ylabel="density of rows")
    left.legend(frameon=False, title="dimensions")
    right.set(xlabel="log p of rows − log p of the mode, nats", ylim=(0.0, 0.3))
    right.axvline(0.0, color="black", lw=1.0)
    return figure


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("docs/figures"))
    folder = parser.parse_args().folder
    for draw in (table_pairs, imputed, conditional, anomalies, clusters, calibration, typical_set):
        write(draw(), folder / f"{draw.__name__}.png")


if __name__ == "__main__":
    main()
