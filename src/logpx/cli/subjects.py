"""The kinds of data that the commands serve."""

from __future__ import annotations

import difflib
import os

from logpx.cli.image_subject import ImageSubject
from logpx.cli.names import READABLE_TABLES
from logpx.cli.subject import Subject
from logpx.cli.table_subject import TableSubject
from logpx.errors import UsageError
from logpx.suggestions import path_suggestion

__all__ = ["SUBJECTS", "refuse_missing_table", "subject_of"]

# In the order in which they are asked: a source that no other kind recognises is a table.
SUBJECTS: tuple[Subject, ...] = (ImageSubject(), TableSubject())


def subject_of(source: str) -> Subject:
    """Return the kind of data that a source names."""
    if not os.path.lexists(source):
        refuse_missing_table(source)
        # An unrecognised source is a table, but a name without an extension may be a misspelt data set.
        from logpx.images import DATA_SETS

        near = difflib.get_close_matches(source.lower().partition(":")[0], DATA_SETS, n=1, cutoff=0.75)
        if near and near[0] != source.lower().partition(":")[0]:
            raise UsageError(
                "no such file, folder or data set", file=source, fix=f"did you mean {near[0]!r}?"
            )
    return next(subject for subject in SUBJECTS if subject.recognises(source))


def refuse_missing_table(source: str) -> None:
    """Refuse the name of a table file that is not there, before anything heavy is loaded.

    Patterns, addresses and names without a table's extension are left to those who know them.
    """
    if (
        os.path.lexists(source)
        or any(mark in source for mark in "*?[:")
        or not source.endswith(READABLE_TABLES)
    ):
        return
    raise UsageError("no such file or folder", file=source, fix=path_suggestion(source))
