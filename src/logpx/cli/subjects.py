"""The kinds of data that the commands serve."""

from __future__ import annotations

from logpx.cli.image_subject import ImageSubject
from logpx.cli.subject import Subject
from logpx.cli.table_subject import TableSubject

__all__ = ["SUBJECTS", "subject_of"]

# In the order in which they are asked: whatever nobody else recognises is a table.
SUBJECTS: tuple[Subject, ...] = (ImageSubject(), TableSubject())


def subject_of(source: str) -> Subject:
    """Return what knows the data that a source names."""
    return next(subject for subject in SUBJECTS if subject.recognises(source))
