"""Everyone can tell colours apart, on both grounds; text is taken literally; a missing extra is named."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib import colors, pyplot

from logpx import plots
from logpx.errors import UsageError
from logpx.plots.appearance import COLOURS, GREY

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(colour: str) -> np.ndarray:
    value = np.array(colors.to_rgb(colour))
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, white point D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = (to_xyz @ rgb.clip(0.0, 1.0)) / np.array([0.9505, 1.0, 1.089])
    cube = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * cube[1] - 16, 500 * (cube[0] - cube[1]), 200 * (cube[1] - cube[2])])


@pytest.mark.parametrize("colour", [*COLOURS, GREY])
def test_colours_have_contrast_on_white_and_on_black(colour: str):
    luminance = float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour))
    assert 1.05 / (luminance + 0.05) >= 3.0
    assert (luminance + 0.05) / 0.05 >= 3.0


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_first_colours_are_far_apart_for_everyone(blindness: str):
    seen = [lab(BLINDNESS[blindness] @ linear(colour)) for colour in COLOURS[:3]]
    apart = [np.linalg.norm(one - other) for place, one in enumerate(seen) for other in seen[:place]]
    # About ten times what the eye can just tell.
    assert min(apart) > 20.0


def test_missing_extra_prints_the_install_command():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from logpx import plots\n"
        "try: plots.plot_weights([0.0, 1.0])\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "fix: pip install 'logpx[plots]'", done.stderr


def test_room_does_not_import_matplotlib_by_itself():
    code = "import sys, logpx.plots; print('matplotlib' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "False"], done.stderr


@pytest.mark.parametrize("name", ["$x$", r"\frac{", "_hidden", "a\nb", "<script>", "x" * 300, "価格", ""])
def test_names_are_taken_literally(name: str, recwarn: pytest.WarningsRecorder):
    rows = {name: np.arange(50.0), "other": ["a", "$b$"] * 25}
    grid = plots.plot_pair(rows, {key: values[::-1] for key, values in rows.items()}, names=(name, "_b"))
    grid[0, 0].figure.savefig("/dev/null", format="svg")
    shown = grid[1, 0].get_xlabel()
    # A long name stands on two lines.
    assert shown == (f"{'x' * 40}\n{'x' * 19}…" if len(name) > 60 else name.replace("\n", " "))
    assert not [warning for warning in recwarn if "Glyph" not in str(warning.message)]


def test_axes_are_used_divided_or_refused():
    _, (left, right) = pyplot.subplots(1, 2)
    assert plots.plot_weights([0.0, 1.0, 2.0], ax=left) is left
    inner = plots.plot_pair(np.random.default_rng(0).normal(size=(50, 3)), ax=right)
    assert inner.shape == (3, 3)
    assert inner[0, 0].figure is left.figure
    given = pyplot.subplots(2, 2)[1]
    assert plots.plot_pair(np.random.default_rng(0).normal(size=(50, 2)), ax=given)[1, 0] is given[1, 0]
    with pytest.raises(UsageError, match=r"fix: take it from plt\.subplots"):
        plots.plot_pair(np.zeros((50, 3)), ax=given)
    with pytest.raises(UsageError, match="ax is a Figure"):
        plots.plot_weights([0.0], ax=left.figure)


@pytest.mark.parametrize(
    "draw", [plots.plot_marginals, plots.plot_pair, plots.plot_correlations, plots.plot_missing]
)
def test_a_choice_of_no_columns_is_refused(draw):
    with pytest.raises(UsageError, match="no column is chosen"):
        draw({"a": [1.0, 2.0]}, columns=[])


def test_a_long_legend_counts_what_it_leaves_out():
    rng = np.random.default_rng(0)
    _, right = plots.plot_calibration({f"column {number}": rng.uniform(size=20) for number in range(30)})
    shown = [text.get_text() for text in right.get_legend().get_texts()]
    assert shown[0] == "column 0"
    assert shown[-2:] == ["column 15", "14 more"]


def test_huge_numbers_have_no_unknown_prefixes():
    (ax,) = plots.plot_marginals({"a": np.array([1e300, -1e300, 0.0, 1.0, 2.0])})
    ax.figure.canvas.draw()
    assert not any("Q" in label.get_text() for label in ax.get_xticklabels())


def test_names_of_cells_are_taken_literally():
    ax = plots.plot_anomalies({"row 1": {"$x_1$": 2.0, **{f"column {number}": 1.0 for number in range(20)}}})
    assert ax.texts[0].get_text() == "$x_1$"
    assert not ax.texts[0].get_parse_math()
    # The eight most surprising cells.
    assert len(ax.texts) == 8


def test_no_missing_cell_is_said():
    _, right = plots.plot_missing({"a": [1.0, 2.0], "b": ["x", "y"]})
    assert right.get_title() == "no cell is missing"


@pytest.mark.parametrize("traces", [{"first": [1.0, 2.0]}, [1.0, 2.0], ["text"]])
def test_traces_that_are_none_are_refused(traces):
    with pytest.raises(UsageError, match="trace 1 has shape"):
        plots.plot_bound(traces)
