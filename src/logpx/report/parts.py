"""What a report is made of, before it is written as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from logpx.representations import Shown

__all__ = ["Figure", "Report", "Section", "SortableTable", "Verdict"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Verdict(Shown):
    """How far to trust a model, in words.

    Attributes
    ----------
    level : str
        ``good``, ``caution``, ``poor`` or ``unknown``.
    sentence : str
        The most important sentence.
    reasons : sequence of str
        What else a reader should know first.
    """

    level: str
    sentence: str
    reasons: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, repr=False)
class Figure(Shown):
    """A drawing.

    Attributes
    ----------
    svg : str
        The drawing, safe to stand in a page.
    title : str
        What it is, which screen readers say in its place.
    caption : str
        How to read it.
    wide : bool
        Whether it takes the whole width.
    """

    svg: str
    title: str
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True, kw_only=True, repr=False)
class SortableTable(Shown):
    """A table.

    Attributes
    ----------
    title : str
        What it is.
    columns : sequence of str
        The names of the columns.
    rows : sequence of sequence of str
        The cells.
    numbers : frozenset of int
        The places of columns of numbers.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True, repr=False)
class Section(Shown):
    """A part of the page.

    Attributes
    ----------
    key : str
        Its anchor.
    title : str
        Its heading.
    text : sequence of str
        Paragraphs.
    points : sequence of str
        A list after them.
    facts : sequence of (str, str)
        Names and values.
    figures, grids
        Drawings and tables.
    code : sequence of str
        Blocks of commands.
    """

    key: str
    title: str
    text: Sequence[str] = ()
    points: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    figures: Sequence[Figure] = ()
    grids: Sequence[SortableTable] = ()
    code: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, repr=False)
class Report(Shown):
    """A report on a model.

    Attributes
    ----------
    title, subtitle : str
        What it is about.
    verdict : Verdict
        What comes first.
    sections : list of Section
        What follows.
    notes : list of str
        What the person who made it should know, beside the page.
    """

    title: str
    subtitle: str
    verdict: Verdict
    sections: list[Section] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
