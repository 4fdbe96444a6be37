"""Figures of fits show the numbers that they were given."""

import numpy as np
import pytest
import torch
from scipy import stats

from logpx import plots
from logpx.errors import UsageError
from logpx.plots.columns import columns_of
from logpx.plots.comparison import association
from logpx.plots.images import nearest


@pytest.fixture
def mixed() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    labels = np.where(x + rng.normal(size=400) > 0, "high", "low")
    return {"x": x, "y": np.exp(x + rng.normal(size=400)), "label": labels, "other": labels}


def test_training_marks_the_best_step_and_what_ended_it():
    history = [
        {"step": step, "train": -4.0 / step, "validation": -5.0 / step - 0.02 * step, "validation_error": 0.1}
        for step in range(1, 41)
    ]
    ax = plots.plot_training(history, stopped="patience", events=[{"step": 7, "kind": "roll-back"}])
    best = max(history, key=lambda record: record["validation"])["step"]
    assert ax.get_title() == f"best at step {best}; ended: patience"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation", "best"]
    # The first steep rise is left out of view.
    assert ax.get_ylim()[0] > -4.0
    with pytest.raises(UsageError, match="no history"):
        plots.plot_training([])


def test_leaderboard_is_ordered_and_failures_come_last():
    tried = [
        {"model": "a", "scales": "chosen", "validation": -3.0, "standard_error": 0.1},
        {"model": "b", "scales": "own", "validation": None, "note": "failed"},
        {"model": "c", "scales": "standard", "validation": -1.0, "standard_error": 0.1, "chosen": True},
        {"model": "d", "scales": "own", "validation": -np.inf},
    ]
    ax = plots.plot_leaderboard(tried)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[:2] == ["c (standard)", "a (chosen)"]
    assert {text.get_text() for text in ax.texts} == {"failed", "an impossible row"}


def test_correlations_are_those_of_scipy(mixed):
    table = association(list(columns_of(mixed).values()))
    assert table[0, 1] == pytest.approx(stats.spearmanr(mixed["x"], mixed["y"]).statistic)
    counts = np.array(
        [[(mixed["label"] == a).sum() * (a == b) for b in ("high", "low")] for a in ("high", "low")]
    )
    assert table[2, 3] == pytest.approx(stats.contingency.association(counts, method="cramer"))
    ranks = stats.rankdata(mixed["x"])
    between = stats.pointbiserialr(mixed["label"] == "high", ranks).statistic
    assert table[0, 2] == pytest.approx(abs(between))
    axes = plots.plot_correlations(mixed, {name: values[::-1] for name, values in mixed.items()})
    assert axes[2].get_title() == "difference, at most 0.00"


def test_log_prob_counts_impossible_rows():
    ax = plots.plot_log_prob({"held-out": torch.randn(50), "new": [0.0, -np.inf, -1.0]}, kind="lower bound")
    assert ax.get_xlabel() == "lower bound of log p (nats per row)"
    assert ax.get_legend().get_texts()[1].get_text() == "new, 3 (1 impossible)"
    with pytest.raises(UsageError, match="no groups"):
        plots.plot_log_prob({})


def test_calibration_shows_coverage():
    # Predictions half as wide as they should be.
    pit = stats.norm.cdf(2.0 * np.random.default_rng(0).normal(size=4000))
    left, right = plots.plot_calibration(pit)
    line = right.lines[1]
    covered = np.interp(0.5, line.get_xdata(), line.get_ydata())
    assert covered == pytest.approx(2 * stats.norm.cdf(stats.norm.ppf(0.75) / 2) - 1, abs=0.02)
    assert np.abs(left.lines[1].get_ydata()).max() > left.patches[0].get_height() / 2
    with pytest.raises(UsageError, match="not between 0 and 1"):
        plots.plot_calibration([0.5, 1.5])
    with pytest.raises(UsageError, match="all values of b are missing"):
        plots.plot_calibration({"a": pit, "b": [np.nan]})
    again = plots.plot_calibration(np.append(pit, np.nan))[1].lines[1].get_ydata()
    assert np.array_equal(again, line.get_ydata())


def test_a_cell_of_which_nothing_is_known_is_not_called_impossible():
    ax = plots.plot_anomalies({"row 1": {"a": np.inf, "b": np.nan}})
    assert [text.get_text() for text in ax.texts] == ["a, impossible"]


def test_missing_cells_and_what_replaces_them():
    data = {"a": [1.0, None, 3.0, None], "b": ["x", "y", None, None], "c": [1.0, 2.0, 3.0, 4.0]}
    left, right = plots.plot_missing(data)
    assert [bar.get_width() for bar in left.patches] == [0.5, 0.5]
    assert [label.get_text() for label in right.get_xticklabels()] == ["25%"] * 4
    completed = {"a": [1.0, 2.0, 3.0, 2.5] * 2, "b": ["x", "y", "x", "y"] * 2, "c": [1.0, 2.0, 3.0, 4.0] * 2}
    axes = plots.plot_imputed(data, completed)
    assert [ax.get_title() for ax in axes] == ["a, 2 missing", "b, 2 missing"]
    filled = axes[1].patches[-1].get_data()
    np.testing.assert_allclose(filled.values, [0.5, 0.5])
    with pytest.raises(UsageError, match="no cell is missing"):
        plots.plot_imputed(completed, completed)
    with pytest.raises(UsageError, match="7 completed rows for 4"):
        plots.plot_imputed(data, {name: values[:7] for name, values in completed.items()})


def test_clusters_are_shown_where_they_differ(mixed):
    ax = plots.plot_clusters(mixed, mixed["x"] > 0)
    assert "x" in {ax.get_xlabel(), ax.get_ylabel()}
    assert ax.get_title() == "2 clusters of 400 rows"
    many = plots.plot_clusters({"n": np.arange(400.0)}, np.arange(400))
    shown = [text.get_text() for text in many.get_legend().get_texts()]
    assert (len(shown), shown[-1]) == (21, "380 more")
    with pytest.raises(UsageError, match="one for each row"):
        plots.plot_clusters(mixed, [1, 2])


def test_latent_space_is_coloured_by_numbers_or_labels(mixed):
    z = np.random.default_rng(1).normal(size=(400, 4)) * [1.0, 3.0, 0.1, 2.0]
    ax = plots.plot_latent(z, colour=mixed["label"], name="label")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("z[1]", "z[3]")
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"high", "low"}
    numbers = plots.plot_latent(z[:, :1], colour=mixed["y"], name="y")
    assert numbers.collections[0].get_array().max() == mixed["y"].max()


def test_nearest_images_are_the_nearest():
    rng = np.random.default_rng(0)
    images, others = rng.normal(size=(5, 8, 8, 3)), rng.normal(size=(700, 8, 8, 3))
    others[650] = images[2] + 0.01
    places, distances = nearest(images, others)
    all_of_them = np.sqrt(((images[:, None] - others) ** 2).sum((2, 3, 4)))
    np.testing.assert_array_equal(places, all_of_them.argmin(1))
    np.testing.assert_allclose(distances, all_of_them.min(1), rtol=1e-6)
    assert places[2] == 650


def test_images_are_shown_as_they_are():
    images = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    images[1] = 15
    sheet = plots.plot_images(images, levels=16, across=3).images[0].get_array()
    assert sheet.shape == (2, 8, 4)
    np.testing.assert_allclose(sheet[:, 3:5, 0], 1.0)
    np.testing.assert_allclose(sheet[:, 2, 3], 0.0)
    assert plots.plot_nearest(images, images).get_title().endswith("0.00")
    assert plots.plot_pixel_cost(torch.rand(2, 1, 4, 4), image=torch.rand(2, 1, 4, 4)).images
    with pytest.raises(UsageError, match="images of shape"):
        plots.plot_images(np.zeros((2, 4, 8, 8)))
