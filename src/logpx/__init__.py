"""Fit generative models whose likelihood can be computed or bounded, and answer log p(x).

Importing the package is cheap: a room, and PyTorch with it, is imported when its name is first used.

Examples
--------
>>> import logpx
>>> logpx.transforms.Reverse(3).event_shape
(3,)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from logpx._version import __version__

if TYPE_CHECKING:
    from logpx import (
        detection,
        distributions,
        engines,
        errors,
        estimators,
        flows,
        hub,
        images,
        inference,
        latent,
        mlflow,
        nets,
        plots,
        posteriors,
        report,
        scoring,
        storage,
        tables,
        training,
        transforms,
    )
    from logpx.api import (
        anomalies,
        compare,
        drift,
        evidence,
        evidence_from_draws,
        fit,
        impute_batches,
        impute_schema,
        load,
        posterior,
        save,
        score_batches,
        score_schema,
    )

__all__ = [
    "__version__",
    "anomalies",
    "compare",
    "detection",
    "distributions",
    "drift",
    "engines",
    "errors",
    "estimators",
    "evidence",
    "evidence_from_draws",
    "explore",
    "fit",
    "flows",
    "hub",
    "images",
    "impute_batches",
    "impute_schema",
    "inference",
    "latent",
    "load",
    "mlflow",
    "nets",
    "plots",
    "posterior",
    "posteriors",
    "report",
    "save",
    "score_batches",
    "score_schema",
    "scoring",
    "storage",
    "tables",
    "training",
    "transforms",
]

_FROM_API = frozenset(
    {
        "anomalies",
        "compare",
        "drift",
        "evidence",
        "evidence_from_draws",
        "fit",
        "impute_batches",
        "impute_schema",
        "load",
        "posterior",
        "save",
        "score_batches",
        "score_schema",
    }
)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'logpx' has no attribute {name!r}")
    if name in _FROM_API:
        value = getattr(importlib.import_module("logpx.api"), name)
    else:
        value = importlib.import_module(f"logpx.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
