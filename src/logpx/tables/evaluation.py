"""The quality of a table model on rows, and the comparison with baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Comparison", "Evaluation"]


@dataclass(frozen=True)
class Comparison:
    """How a baseline does on the same rows.

    Attributes
    ----------
    mean, standard_error : float
        Mean log p per row of the baseline, in nats.
    gain, gain_standard_error : float
        How much better the model is per row, and the standard error of the paired difference.
    """

    mean: float
    standard_error: float
    gain: float
    gain_standard_error: float


@dataclass(frozen=True)
class Evaluation:
    """The held-out quality of a table model.

    Attributes
    ----------
    mean, standard_error : float
        Mean log p per row in nats and in table units, exact or a lower bound as `kind` says.
    kind : str
        ``exact`` or ``lower bound``.
    rows : int
        The number of rows.
    outside : int
        Rows outside the model's support, whose log p is minus infinity; they are part of the mean.
    baselines : mapping of str to Comparison
        The same rows under simple models.
    """

    mean: float
    standard_error: float
    kind: str
    rows: int
    outside: int
    baselines: Mapping[str, Comparison]

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return asdict(self)
