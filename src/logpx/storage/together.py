"""A fit by several processes: the first leads, and the others build what it describes and compute for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from logpx.files.documents import restore, spell_out
from logpx.inference.shared_e_step import HANDLERS as OF_E_STEPS
from logpx.processes.launch import Launch
from logpx.processes.link import ProcessLost, linked
from logpx.processes.messages import Message
from logpx.processes.team import Team, current_team, error_of, leading
from logpx.processes.worker import Worker, described_error
from logpx.storage.description import build_model, describe_model
from logpx.storage.results import packed_result, unpacked_result
from logpx.tables.fitting.streamed_rows import HANDLERS as OF_TABLES
from logpx.training.gradients import HANDLERS as OF_GRADIENTS

__all__ = ["all_fit", "lead_or_help"]

Answer = TypeVar("Answer")

_ERROR, _RESULT = "error", "result"


def lead_or_help(place: Launch, lead: Callable[[], Answer]) -> Answer | None:
    """Do work in the first process, for which the others compute until it is done.

    Parameters
    ----------
    place
        The place of this process.
    lead
        The work.

    Returns
    -------
    object or None
        What the work returns; None in the other processes.

    Raises
    ------
    ResourceError
        If another process has ended, in all of them.
    """
    if not place.leads:
        _help(place, None)
        return None
    with linked(place) as link, leading(Team(link, _description)) as team:
        try:
            return lead()
        finally:
            team.end()


def all_fit(place: Launch, fit: Callable[[], Answer], own: nn.Module | None = None) -> Answer:
    """Fit in the first process with the help of the others, and return the same result in all of them.

    Parameters
    ----------
    place
        The place of this process.
    fit
        The fit.
    own
        The model that is fitted in place, if it is one that each process has.

    Raises
    ------
    LogpxError
        What the fit raises, in all processes.
    ResourceError
        If another process has ended, in all of them.
    """
    if current_team() is not None:
        return fit()
    if not place.leads:
        values, tensors = _help(place, own)
        if _ERROR in values:
            raise error_of(0, place.size, values[_ERROR])
        found: Answer = unpacked_result((values[_RESULT], tensors), own, _built)
        return found
    with linked(place) as link, leading(Team(link, _description, own)) as team:
        try:
            result = fit()
            values, tensors = packed_result(result, own, _description)
        except Exception as error:
            team.end({_ERROR: described_error(error)})
            raise
        team.end({_RESULT: values}, tensors)
        return result


def _help(place: Launch, own: nn.Module | None) -> Message:
    with linked(place) as link:
        try:
            return Worker(link, {**OF_E_STEPS, **OF_GRADIENTS, **OF_TABLES}, _built, own).serve()
        except ProcessLost as lost:
            raise lost.error() from lost


def _description(model: nn.Module) -> Any:
    return spell_out(describe_model(model))


def _built(description: Any) -> nn.Module:
    return build_model(restore(description))
