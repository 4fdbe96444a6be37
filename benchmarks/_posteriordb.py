"""Data, models and reference draws of 16 posteriors of posteriordb, from a copy of its database folder."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _posteriordb_models import (
    Case,
    Data,
    autoregression,
    earnings,
    election,
    kidscore,
    kilpisjarvi,
    log_earnings,
    mesquite,
    vague_regression,
)
from _posteriordb_nonlinear import eight_schools, garch, gaussian_process, lotka_volterra, normal_mixture
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["CASES", "Case", "Outcome", "load", "reference"]

CASES: dict[str, Callable[[Data], Case]] = {
    "arK-arK": autoregression,
    "earnings-earn_height": earnings,
    "earnings-logearn_height": log_earnings,
    "eight_schools-eight_schools_noncentered": partial(eight_schools, centred=False),
    "eight_schools-eight_schools_centered": partial(eight_schools, centred=True),
    "garch-garch11": garch,
    "gp_pois_regr-gp_pois_regr": gaussian_process,
    "kidiq-kidscore_interaction": partial(kidscore, interaction=True),
    "kidiq-kidscore_momhsiq": partial(kidscore, interaction=False),
    "kilpisjarvi_mod-kilpisjarvi": kilpisjarvi,
    "low_dim_gauss_mix-low_dim_gauss_mix": normal_mixture,
    "mesquite-logmesquite": mesquite,
    "nes1972-nes": election,
    "nes2000-nes": election,
    "sblrc-blr": vague_regression,
    "hudson_lynx_hare-lotka_volterra": lotka_volterra,
}


@dataclass(frozen=True)
class Outcome:
    """An approximation of a posterior, as it enters the comparison.

    Attributes
    ----------
    method : str
        The name of the method.
    k_hat : float
        The shape of the tail of the importance weights.
    verdict : str
        Whether to trust it, in a few words.
    pool, weights : Tensor
        Draws in the columns of the reference, shape ``(S, d)``, and their weights, which sum to 1.
    gradients : int
        The number of points at which the gradient was evaluated.
    seconds : float
        How long it took.
    """

    method: str
    k_hat: float
    verdict: str
    pool: Tensor
    weights: Tensor
    gradients: int
    seconds: float


def load(folder: Path, name: str) -> Case:
    """Return a posterior by its name.

    Parameters
    ----------
    folder
        A copy of posteriordb's folder ``posterior_database``.
    name
        One of `CASES`.
    """
    return CASES[name](_zipped(folder / f"data/data/{_about(folder, name)['data_name']}.json.zip"))


def reference(folder: Path, name: str) -> tuple[list[str], NDArray[np.float64]]:
    """Return the names of the columns and the draws of all chains, shape ``(draws, d)``."""
    stem = _about(folder, name)["reference_posterior_name"]
    chains = _zipped(folder / f"reference_posteriors/draws/draws/{stem}.json.zip")
    names = list(chains[0])
    return names, np.concatenate([np.array([chain[column] for column in names]).T for chain in chains])


def _about(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"posteriors/{name}.json").read_text(encoding="utf-8"))


def _zipped(path: Path) -> Any:
    """Return the one JSON value in a zip file."""
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        return json.loads(archive.read(member))
