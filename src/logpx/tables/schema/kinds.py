"""The kinds of columns a table can have, and what each means for a density."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Kind"]


@dataclass(frozen=True, kw_only=True)
class _Traits:
    meaning: str
    modelled: bool = False
    lower_bound: float | None = None
    step: float | None = None
    refusal: str | None = None
    choosable: bool = True


class Kind(StrEnum):
    """What a column holds, and therefore how it is modelled.

    A kind is a string (its value is what schema files and ``--columns`` say) with behaviour: whether a
    density is fitted to the column, which support it implies, and why a table with such a column is refused.

    Attributes
    ----------
    modelled : bool
        Whether the column is part of the density.
    lower_bound : float or None
        The lower end of the support that the kind implies, or None.
    step : float or None
        The step of the grid that the kind implies, or None.
    refusal : str or None
        Why the column can be neither modelled nor silently ignored; None if it can.
    choosable : bool
        Whether a user may ask for this kind.
    meaning : str
        One phrase for tables and messages.

    Examples
    --------
    >>> Kind("positive").modelled, Kind.POSITIVE.lower_bound, Kind.IDENTIFIER.modelled
    (True, 0.0, False)
    """

    CONTINUOUS = "continuous"
    POSITIVE = "positive"
    BOUNDED = "bounded"
    INTEGER = "integer"
    CONSTANT = "constant"
    IDENTIFIER = "identifier"
    DROP = "drop"
    WEIGHT = "weight"
    CATEGORICAL = "categorical"
    TIMESTAMP = "timestamp"
    MIXED = "mixed"
    EMPTY = "empty"
    OTHER = "other"

    @property
    def modelled(self) -> bool:
        """Whether the column is part of the density."""
        return _TRAITS[self].modelled

    @property
    def lower_bound(self) -> float | None:
        """The lower end of the support that the kind implies, or None."""
        return _TRAITS[self].lower_bound

    @property
    def step(self) -> float | None:
        """The step of the grid that the kind implies, or None."""
        return _TRAITS[self].step

    @property
    def refusal(self) -> str | None:
        """Why a table with such a column is refused, or None if it is not."""
        return _TRAITS[self].refusal

    @property
    def choosable(self) -> bool:
        """Whether a user may ask for this kind."""
        return _TRAITS[self].choosable

    @property
    def meaning(self) -> str:
        """One phrase for tables and messages."""
        return _TRAITS[self].meaning


_TRAITS = {
    Kind.CONTINUOUS: _Traits(meaning="any real number", modelled=True),
    Kind.POSITIVE: _Traits(meaning="numbers above 0", modelled=True, lower_bound=0.0),
    Kind.BOUNDED: _Traits(meaning="numbers between two known bounds", modelled=True),
    Kind.INTEGER: _Traits(meaning="whole numbers", modelled=True, step=1.0),
    Kind.CONSTANT: _Traits(meaning="a single value"),
    Kind.IDENTIFIER: _Traits(meaning="names the row"),
    Kind.DROP: _Traits(meaning="left out on request"),
    Kind.WEIGHT: _Traits(meaning="says how much each row counts"),
    Kind.CATEGORICAL: _Traits(meaning="one of several labels", modelled=True),
    Kind.TIMESTAMP: _Traits(meaning="dates, times or durations", modelled=True, step=1.0),
    Kind.MIXED: _Traits(meaning="text among numbers", refusal="numbers and text are mixed", choosable=False),
    Kind.EMPTY: _Traits(meaning="no value in any row", choosable=False),
    Kind.OTHER: _Traits(meaning="neither numbers nor text", choosable=False),
}
