"""Keeping training finite: bad steps are skipped; if they persist, training rolls back and slows down."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from logpx.distributions import Distribution
from logpx.errors import DivergedError
from logpx.training.batches import Batch
from logpx.training.broken_layer import broken_layer
from logpx.training.evaluation import Score

__all__ = ["Guard"]

# How many batches are kept to say, in the end, which rows had no density.
_SUSPECTS = 100


class Guard:
    """Counts the steps whose loss or gradient is not finite, and decides what to do.

    Parameters
    ----------
    model
        The model, whose parameters a message may name.
    column
        Returns a column's name in messages.
    consecutive
        How many bad steps in a row cause a roll-back.
    budget
        The most roll-backs.
    """

    def __init__(
        self, model: Distribution, column: Callable[[int], str | int], consecutive: int = 5, budget: int = 3
    ) -> None:
        self._model, self._column = model, column
        self._consecutive, self._budget = consecutive, budget
        self._in_a_row: list[Tensor] = []
        self._blocked: Tensor | None = None
        self._suspects: list[Batch] = []
        self.skipped = 0
        self.roll_backs = 0
        self.layer: str | None = None

    def state(self) -> dict[str, Any]:
        """Return what later decisions depend on, as JSON values."""
        return {
            "in_a_row": [rows.tolist() for rows in self._in_a_row],
            "blocked": None if self._blocked is None else self._blocked.tolist(),
            "skipped": self.skipped,
            "roll_backs": self.roll_backs,
            "layer": self.layer,
        }

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on from a state."""
        blocked = state["blocked"]
        self._in_a_row = [torch.tensor(rows, dtype=torch.int64, device=device) for rows in state["in_a_row"]]
        self._blocked = None if blocked is None else torch.tensor(blocked, dtype=torch.int64, device=device)
        self.skipped, self.roll_backs = state["skipped"], state["roll_backs"]
        self.layer = state["layer"]

    def filter(self, batch: Batch) -> Batch:
        """Return the batch without the rows that led to a roll-back."""
        if self._blocked is None:
            return batch
        return batch.where(~torch.isin(batch.rows, self._blocked))

    def good(self) -> None:
        """Note a finite step."""
        self._in_a_row.clear()

    def bad(self, batch: Batch, log_prob: Tensor) -> bool:
        """Note a skipped step; return whether training has to roll back.

        Raises
        ------
        DivergedError
            If there were too many roll-backs; the row and column, or the parameter, to blame is named.
        """
        self.skipped += 1
        finite = torch.isfinite(log_prob.detach())
        if not bool(finite.all()) and len(self._suspects) < _SUSPECTS:
            self._suspects.append(batch.where(~finite))
        self._in_a_row.append(batch.rows if bool(finite.all()) else batch.rows[~finite])
        if len(self._in_a_row) < self._consecutive:
            return False
        if self.roll_backs == self._budget:
            raise self._diverged(batch, finite)
        self.roll_backs += 1
        self.layer = self._layer(batch, finite)
        blamed = torch.cat(self._in_a_row)
        self._blocked = blamed if self._blocked is None else torch.cat([self._blocked, blamed])
        self._in_a_row.clear()
        return True

    @torch.no_grad()
    def impossible_rows(self) -> list[int]:
        """Return which of the rows in skipped steps have density 0 under the model as it now is, from 0."""
        found: set[int] = set()
        for batch in self._suspects:
            lost = torch.isneginf(self._model.log_prob(batch.x, batch.context))
            found.update(batch.rows[lost.cpu()].tolist())
        return sorted(found)

    def lost(self, score: Score) -> None:
        """Note that the validation likelihood, finite before, is no longer finite.

        Raises
        ------
        DivergedError
            If there were too many roll-backs.
        """
        if self.roll_backs == self._budget:
            raise self.diverged_on_validation(score)
        self.roll_backs += 1
        self._in_a_row.clear()

    def diverged_on_validation(self, score: Score | None) -> DivergedError:
        """Return the error that names the validation row without a finite log-density."""
        layer = None if score is None else score.bad_layer
        return DivergedError(
            f"a validation row has no finite log-density{_blamed(layer)}",
            row=None if score is None or score.bad_row is None else score.bad_row + 1,
            fix="use a model whose density is positive everywhere, rescale the data, or use model.double()",
        )

    @property
    def blocked(self) -> int:
        """How many rows roll-backs have excluded."""
        return 0 if self._blocked is None else len(set(self._blocked.tolist()))

    def no_row_left(self) -> DivergedError:
        """Return the error for the case that all training rows have been excluded."""
        return DivergedError(
            f"no training row is left: none had a finite log-density and gradient{_blamed(self.layer)}",
            fix="rescale the data, use model.double(), or check the model's log_prob",
        )

    def _layer(self, batch: Batch, finite: Tensor) -> str | None:
        if bool(finite.all()):
            return None
        bad = batch.where(~finite)
        return broken_layer(self._model, lambda: self._model.log_prob(bad.x, bad.context))

    def _diverged(self, batch: Batch, finite: Tensor) -> DivergedError:
        again = f"training did not stay finite, after {self._budget} roll-backs at ever lower learning rates"
        if not bool(finite.all()):
            position = int((~finite).nonzero()[0].item())
            flat = batch.x.flatten(1)
            # The column in which the row is most extreme, relative to the batch.
            spread = (flat - flat.median(0).values).abs()
            furthest = int((spread[position] / spread.median(0).values.clamp_min(1e-30)).argmax().item())
            layer = self._layer(batch, finite)
            return DivergedError(
                f"{again}: its log-density is not finite{_blamed(layer)}",
                row=int(batch.rows[position].item()) + 1,
                column=self._column(furthest),
                fix="look at that row's most extreme column; rescale or clip it, or use model.double()",
            )
        names = (
            name
            for name, parameter in self._model.named_parameters()
            if parameter.grad is not None and not math.isfinite(parameter.grad.sum().item())
        )
        return DivergedError(
            f"{again}: the gradient of parameter {next(names, 'unknown')} is not finite",
            fix="lower learning_rate, rescale the data, or use model.double()",
        )


def _blamed(layer: str | None) -> str:
    return "" if layer is None else f"; the layer {layer} returns a number that is not finite"
