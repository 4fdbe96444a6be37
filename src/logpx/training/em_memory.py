"""Runs of EM, and sums over rows, as parts of a journal."""

from __future__ import annotations

from collections.abc import Callable

from logpx.inference import EMMemory, EMState
from logpx.inference.shared_e_step import SummedRows
from logpx.training.checkpoints import Moment, TrainingState
from logpx.training.journal import Journal
from logpx.training.kept_values import EMValues, SumValues, checked_values

__all__ = ["SumMemory", "em_memory"]


def em_memory(journal: Journal) -> EMMemory | None:
    """Return what keeps a run of EM in a part of a journal; None if nothing is kept."""
    return _EMMemory(journal) if journal.keeps else None


class _EMMemory:
    """A run of EM as a part of a journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        # States are numbered, as there may be several within an iteration.
        self._number = 0

    def recall(self) -> EMState | None:
        state = self._journal.last()
        if state is not None:
            checked_values(EMValues, state.values, "the state of a run of EM")
            self._number = state.step
        if state is None or (state.values["values"]["late"] and self._journal.extended):
            return None
        values = state.values
        return EMState(
            iteration=values["iteration"],
            finished=values["finished"],
            tensors=state.tensors,
            values=values["values"],
        )

    def pause(self, capture: Callable[[], EMState]) -> bool:
        stops = self._journal.stops()
        self._offer(capture, Moment.STOPPED if stops else Moment.STEP)
        return stops

    def finish(self, capture: Callable[[], EMState]) -> None:
        self._offer(capture, Moment.END)

    def _offer(self, capture: Callable[[], EMState], moment: Moment) -> None:
        def captured() -> TrainingState:
            state = capture()
            values = {"iteration": state.iteration, "finished": state.finished, "values": state.values}
            self._number += 1
            return TrainingState(self._number, state.tensors, values)

        self._journal.offer(None, captured, moment)


class SumMemory:
    """A sum over rows as a part of a journal.

    Parameters
    ----------
    journal
        The part.
    sums
        What adds the rows up; it goes on with what is kept.
    """

    def __init__(self, journal: Journal, sums: SummedRows) -> None:
        self._journal, self._sums = journal, sums
        state = journal.last()
        self._number = 0
        if state is not None:
            checked_values(SumValues, state.values, "a sum over rows")
            self._number = state.step
            sums.go_on(state.tensors, state.values)

    def pause(self) -> None:
        """Keep what is added up, if it is time to."""
        self._journal.offer(None, self._captured, Moment.STOPPED if self._journal.stops() else Moment.STEP)

    def finish(self) -> None:
        """Keep the whole sum."""
        self._journal.offer(None, self._captured, Moment.END)

    def _captured(self) -> TrainingState:
        kept = self._sums.kept()
        assert kept is not None
        self._number += 1
        return TrainingState(self._number, *kept)
