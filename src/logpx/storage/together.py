"""A fit by several processes: the first leads, and the others build what it describes and compute for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from logpx.configuration import build
from logpx.files.documents import restore, spell_out
from logpx.inference.shared_e_step import HANDLERS as OF_E_STEPS
from logpx.processes.launch import Launch
from logpx.processes.link import ProcessLost, linked
from logpx.processes.team import Team, leading
from logpx.processes.worker import Worker
from logpx.storage.description import describe_model
from logpx.storage.registry import REGISTRY
from logpx.training.gradients import HANDLERS as OF_GRADIENTS

__all__ = ["lead_or_help"]

Answer = TypeVar("Answer")


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
    with linked(place) as link:
        if not place.leads:
            try:
                Worker(link, {**OF_E_STEPS, **OF_GRADIENTS}, _built).serve()
            except ProcessLost as lost:
                raise lost.error() from lost
            return None
        with leading(Team(link, _description)) as team:
            try:
                return lead()
            finally:
                team.end()


def _description(model: nn.Module) -> Any:
    return spell_out(describe_model(model))


def _built(description: Any) -> nn.Module:
    model = build(restore(description), REGISTRY)
    assert isinstance(model, nn.Module)
    return model
