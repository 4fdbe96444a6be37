"""The benchmark's log-densities of posteriordb, at points where they were computed independently.

They need posteriordb's ``posterior_database``, named ``posteriordb``, in the folder that LOGPX_DATA names.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from logpx.posteriors.target.parameters import Parameters

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

# Parameters, log joint density, and log abs(det) of the map from unconstrained parameters.
SPOTS = {
    "arK-arK": ({"beta": [0, 0.7, 0.45, 0.1, 0, -0.3], "sigma": 0.15}, 72.919150, -1.897120),
    "earnings-earn_height": ({"beta": [-61000, 1260], "sigma": 19000}, -13425.812682, 9.852194),
    "earnings-logearn_height": ({"beta": [5.8, 0.06], "sigma": 0.9}, -1563.144541, -0.105361),
    "eight_schools-eight_schools_noncentered": (
        {"eta": [0.5, 0.25, 0, 0.25, 0, 0, 0.5, 0.25], "mu": 4, "tau": 4},
        -43.333119,
        1.386294,
    ),
    "eight_schools-eight_schools_centered": (
        {"theta": [6, 5, 4, 5, 4, 4, 6, 5], "mu": 4, "tau": 4},
        -54.423474,
        1.386294,
    ),
    # r = 0.3 / (1 − 0.5); its log(1 − α1) is a part of this log-density, and of the other's log abs(det).
    "garch-garch11": (
        {"mu": 5, "alpha0": 1.5, "alpha1": 0.5, "r": 0.6},
        -447.445888 - 0.693147,
        -3.101093 + 0.693147,
    ),
    "gp_pois_regr-gp_pois_regr": (
        {"rho": 6, "alpha": 3, "eta": [1, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, -1]},
        -679.423789,
        2.890372,
    ),
    "kidiq-kidscore_interaction": ({"beta": [-11, 51, 1, -0.5], "sigma": 18}, -1876.918219, 2.890372),
    "kidiq-kidscore_momhsiq": ({"beta": [26, 6, 0.55], "sigma": 18}, -1878.843108, 2.890372),
    "kilpisjarvi_mod-kilpisjarvi": ({"beta": [-60, 0.0175], "sigma": 1.1}, -100.532498, 0.095310),
    "low_dim_gauss_mix-low_dim_gauss_mix": (
        {"mu": [-2.7, 2.9], "sigma": [1, 1], "theta": 0.6},
        -2106.720688,
        0.295650,
    ),
    "mesquite-logmesquite": (
        {"beta": [5.3, 0.4, 1.1, 0.4, 0.4, 0.1, -0.6], "sigma": 0.35},
        -12.335079,
        -1.049822,
    ),
    "nes1972-nes": (
        {"beta": [1.8, 0.5, -1.1, -0.2, 0, 0.5, 0.3, 0, 0.2], "sigma": 1.9},
        -2734.806826,
        0.641854,
    ),
    "nes2000-nes": (
        {"beta": [0.8, 0.8, -1.1, -0.5, -0.7, -0.5, 0.2, -0.1, 0.2], "sigma": 1.8},
        -951.284913,
        0.587787,
    ),
    "sblrc-blr": ({"beta": [1, 1, 1, 1, 1], "sigma": 1}, -165.071578, 0.0),
    "hudson_lynx_hare-lotka_volterra": (
        {"theta": [0.55, 0.028, 0.8, 0.024], "z_init": [34, 6], "sigma": [0.25, 0.25]},
        -128.976041,
        -5.580701,
    ),
}


@pytest.fixture
def folder() -> Path:
    """Return the database, or say what is missing."""
    found = Path(os.environ.get("LOGPX_DATA", "")) / "posteriordb"
    if not (found / "posteriors").is_dir():
        pytest.skip("no posteriordb: set LOGPX_DATA to a folder that holds posteriordb/posteriors")
    return found


@pytest.fixture
def posteriordb(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import the benchmark's module, which lies outside of the package."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    import _posteriordb

    yield _posteriordb
    for name in set(sys.modules) - before:
        if name.startswith("_posteriordb"):
            del sys.modules[name]


def test_every_case_has_a_spot(posteriordb: ModuleType):
    assert list(posteriordb.CASES) == list(SPOTS)


@pytest.mark.parametrize("name", SPOTS)
def test_log_density_at_a_spot(name: str, folder: Path, posteriordb: ModuleType):
    point, log_density, ladj = SPOTS[name]
    case = posteriordb.load(folder, name)
    values = {key: torch.tensor(value, dtype=torch.float64)[None] for key, value in point.items()}
    parameters = Parameters(case.constraints)
    u = parameters.unconstrain(values)
    back, found_ladj = parameters.constrain(u.expand(3, -1))
    assert float(found_ladj[0]) == pytest.approx(ladj, abs=1e-5)
    found = case.log_density(back)
    assert found.shape == (3,)
    assert found.tolist() == pytest.approx([log_density] * 3, abs=1e-5)


def expected_columns(name: str) -> list[float]:
    """Return the spot in the parameters of the reference."""
    point = SPOTS[name][0]
    if name.endswith("noncentered"):
        return [6, 5, 4, 5, 4, 4, 6, 5, 4, 4]
    if name.startswith("garch"):
        return [5, 1.5, 0.5, 0.3]
    if name.startswith("gp"):
        x = np.arange(-10.0, 11.0, 2.0)
        kernel = 9.0 * np.exp(-((x[:, None] - x) ** 2) / 72.0) + 1e-10 * np.eye(len(x))
        return [6, 3, *np.linalg.cholesky(kernel) @ np.array(point["eta"])]
    return [float(entry) for value in point.values() for entry in np.atleast_1d(value)]


@pytest.mark.parametrize("name", SPOTS)
def test_columns_are_those_of_the_reference(name: str, folder: Path, posteriordb: ModuleType):
    names, draws = posteriordb.reference(folder, name)
    assert draws.shape == (10_000, len(names))
    values = {key: torch.tensor(value, dtype=torch.float64)[None] for key, value in SPOTS[name][0].items()}
    columns = posteriordb.load(folder, name).columns(values)
    assert columns.shape == (1, len(names))
    assert columns[0].tolist() == pytest.approx(expected_columns(name), rel=1e-6)
    # Spots are near the posterior's mass, but for one: a column out of order would not be.
    assert name.startswith("gp") or (np.abs(columns[0].numpy() - draws.mean(0)) < 8.0 * draws.std(0)).all()
