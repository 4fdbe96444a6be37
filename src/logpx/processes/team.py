"""The leader's side: orders that all processes carry out at the same time, each on its own share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import Tensor, nn

from logpx import errors
from logpx.errors import LogpxError, MissingExtraError, ResourceError
from logpx.processes.link import Link, ProcessLost
from logpx.processes.messages import Message, pack, unpack

__all__ = [
    "END",
    "FORGET",
    "MODEL",
    "Team",
    "current_team",
    "error_of",
    "leading",
    "parameters_of",
    "state_of",
]

END, MODEL, FORGET = "end", "model", "forget"

Own = TypeVar("Own")


class Team:
    """The processes that compute for this one.

    Parameters
    ----------
    link
        The connection with them.
    describe
        Returns the description of a model that they can build it from, or raises a `LogpxError`.
    own
        The model that they have already, if any.
    """

    def __init__(
        self, link: Link, describe: Callable[[nn.Module], Any], own: nn.Module | None = None
    ) -> None:
        self._link, self._describe, self._own = link, describe, own
        self.size = link.place.size
        self._numbers = 0
        self._settled = True

    def together(
        self,
        order: str,
        values: Any,
        tensors: Sequence[Tensor],
        own: Callable[[], Own],
        *,
        shares: Sequence[Sequence[Tensor]] = (),
    ) -> tuple[Own, list[Message]]:
        """Have an order carried out by all others while this process does its own part.

        Parameters
        ----------
        order
            The name of the order.
        values, tensors
            What all are given.
        own
            What this process does.
        shares
            What each of the others is given besides, in the order of their ranks.

        Returns
        -------
        tuple
            The result of this process, and the answers of the others, in the order of their ranks.

        Raises
        ------
        LogpxError, RuntimeError
            What this process or one of the others raised.
        ProcessLost
            If one of the others has ended.
        """
        self._settled = False
        for index in range(self.size - 1):
            share = shares[index] if shares else ()
            self._link.send(index + 1, pack([order, len(share), values], [*share, *tensors]))
        try:
            mine = own()
        except Exception:
            self._answers()
            raise
        answers = self._answers()
        for rank, (answer, _) in enumerate(answers, start=1):
            if "error" in answer:
                raise error_of(rank, self.size, answer["error"])
        return mine, [(answer["values"], found) for answer, found in answers]

    def _answers(self) -> list[Message]:
        answers = [unpack(self._link.receive(rank)) for rank in range(1, self.size)]
        self._settled = True
        return answers

    def tell(self, order: str, values: Any, tensors: Sequence[Tensor] = ()) -> None:
        """Have an order carried out by the others alone."""
        self.together(order, values, tensors, lambda: None)

    @contextmanager
    def models(self, model: nn.Module) -> Iterator[int | None]:
        """Have the others build a model for as long as it is needed.

        Yields
        ------
        int or None
            The model's number in orders; None if it is none that they could build.
        """
        self._numbers += 1
        number = self._numbers
        trained = [
            name
            for name, parameter in model.named_parameters(remove_duplicate=False)
            if parameter.requires_grad
        ]
        description = None
        try:
            if model is not self._own:
                description = self._describe(model)
            device = next((tensor.device.type for tensor in state_of(model)), "cpu")
            values = {"number": number, "description": description, "trained": trained, "device": device}
            self.tell(MODEL, values)
        except LogpxError as error:
            if isinstance(error, ResourceError):
                raise
            yield None
            return
        try:
            yield number
        finally:
            if self._settled:
                self.tell(FORGET, {"number": number})

    def end(self, values: Any = None, tensors: Sequence[Tensor] = ()) -> None:
        """Let the others go, unless they wait for something else and will see that this process ends."""
        if self._settled:
            for rank in range(1, self.size):
                self._link.send(rank, pack([END, 0, values], tensors))


def state_of(model: nn.Module) -> list[Tensor]:
    """Return the parameters and buffers of a model.

    Those that parts have in common occur once for each: in a model that is built from a description, each
    part has its own.
    """
    buffers = model.named_buffers(remove_duplicate=False)
    return [*parameters_of(model), *(buffer for _, buffer in buffers)]


def parameters_of(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of a model; those that parts have in common occur once for each."""
    return [parameter for _, parameter in model.named_parameters(remove_duplicate=False)]


def error_of(rank: int, size: int, error: Any) -> Exception:
    """Return the error of another process as one that names it."""
    name, message, fix = error
    where = f"process {rank} of {size}: {message}"
    kind = getattr(errors, name, None) if name in errors.__all__ else None
    if isinstance(kind, type) and issubclass(kind, LogpxError) and kind is not MissingExtraError:
        return kind(where, fix=fix)
    return RuntimeError(where)


_team: Team | None = None


def current_team() -> Team | None:
    """Return the processes that compute for this one, or None if it is alone."""
    return _team


@contextmanager
def leading(team: Team) -> Iterator[Team]:
    """Lead other processes within the context.

    Raises
    ------
    ResourceError
        If one of them ends.
    """
    global _team
    _team = team
    try:
        yield team
    except ProcessLost as lost:
        raise lost.error() from lost
    finally:
        _team = None
