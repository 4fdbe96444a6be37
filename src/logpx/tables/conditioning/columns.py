"""Which columns are the target and which are given, checked against the columns of a model."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from logpx.errors import UsageError
from logpx.suggestions import suggestion
from logpx.tables.schema.schema import Column, Schema

__all__ = ["ColumnChoice", "modelled_column", "parse_names"]


@dataclass(frozen=True)
class ColumnChoice:
    """The target columns and the given ones, of a model's modelled columns.

    Attributes
    ----------
    schema : Schema
        The columns of the model.
    target, given : tuple of str
        Their names, in the order asked for.
    """

    schema: Schema
    target: tuple[str, ...]
    given: tuple[str, ...]

    @classmethod
    def of(
        cls, schema: Schema, target: Iterable[str] | str, given: Iterable[str] | str | None
    ) -> ColumnChoice:
        """Return a choice of columns, once checked.

        Parameters
        ----------
        schema
            The columns of the model.
        target
            One name, or several.
        given
            Likewise; None means all columns that are not the target.

        Raises
        ------
        UsageError
            If there is no target; or a column is unknown, not modelled, named twice, or both target and
            given.
        """
        wanted = _checked(schema, target, "target")
        if not wanted:
            raise UsageError("no target is named", fix="name a column of the model")
        if given is None:
            known = tuple(name for name in schema.modelled_names if name not in wanted)
        else:
            known = _checked(schema, given, "given")
        both = [name for name in known if name in wanted]
        if both:
            raise UsageError("the column is both target and given", column=both[0], fix="name it only once")
        return cls(schema, wanted, known)

    @property
    def is_target(self) -> Tensor:
        """Which modelled columns are the target, a boolean of shape ``(d,)``."""
        return torch.tensor([name in self.target for name in self.schema.modelled_names])

    @property
    def is_given(self) -> Tensor:
        """Which modelled columns are given, a boolean of shape ``(d,)``."""
        return torch.tensor([name in self.given for name in self.schema.modelled_names])

    @property
    def places(self) -> list[int]:
        """The places of the target columns among the modelled ones."""
        return [self.schema.modelled_names.index(name) for name in self.target]


def _checked(schema: Schema, names: Iterable[str] | str, role: str) -> tuple[str, ...]:
    chosen = (names,) if isinstance(names, str) else tuple(names)
    for place, name in enumerate(chosen):
        modelled_column(schema, name)
        if name in chosen[:place]:
            raise UsageError(f"the column is {role} twice", column=name, fix="name it once")
    return chosen


def modelled_column(schema: Schema, name: str) -> Column:
    """Return a column that the model describes.

    Raises
    ------
    UsageError
        If there is no such column, or the model leaves it out.
    """
    if name not in schema.names:
        raise UsageError(
            f"the model does not know the column {name!r}", fix=suggestion(str(name), schema.modelled_names)
        )
    column = schema.columns[schema.names.index(name)]
    if not column.modelled:
        raise UsageError(
            f"the model leaves this column out (kind: {column.kind})",
            column=name,
            fix=f"take one that it describes: {', '.join(schema.modelled_names[:20])}",
        )
    return column


def parse_names(texts: Sequence[str], schema: Schema) -> list[str]:
    """Return names from options like ``a,b``; a name with a comma stands alone, or in double quotes.

    Examples
    --------
    >>> from logpx.tables import Kind
    >>> schema = Schema(columns=[Column(name=name, kind=Kind.CONTINUOUS) for name in ("a", "b", "c,d")])
    >>> parse_names(["a,b", "c,d"], schema), parse_names(['a,"c,d"'], schema)
    (['a', 'b', 'c,d'], ['a', 'c,d'])
    """
    names: list[str] = []
    for text in texts:
        if text in schema.names:
            names.append(text)
        else:
            names += [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
    return [name for name in names if name]
