"""A table's columns given some values, samples given these, and why a row is unusual."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from logpx.detection.reasons import Explainer, shortly
from logpx.distributions.conditional import DrawnMarginals, Marginals
from logpx.distributions.private_randomness import private_randomness
from logpx.errors import UsageError
from logpx.explore.asked import FARTHEST, MOST_LATENT, columns_of, count_of, numbers_of, values_of
from logpx.explore.explorer import Explorer
from logpx.explore.latent_walk import LatentWalk
from logpx.tables import TableModel
from logpx.tables.arrow_columns import arrow_array
from logpx.tables.companions import CONDITIONS, answers_conditions
from logpx.tables.conditioning.conditioner import Conditioner
from logpx.tables.conditioning.given import row_of
from logpx.tables.density import needs_noise
from logpx.tables.effort import Effort
from logpx.tables.schema.schema import Column

__all__ = ["TableExplorer"]

_ROWS_SEEN = 2000
_BINS, _MOST_VALUES = 48, 48
_ENDS = (0.002, 0.998)
_INTERVAL = (0.05, 0.5, 0.95)
_MOST_COLUMNS, _MOST_ROWS = 60, 100
_MOST_EXPLAINED = 60
_DRAWS = 4
_HUGE = 1e300


class TableExplorer(Explorer):
    """Answers for a model of a table.

    Parameters
    ----------
    model
        The model.
    seed
        Seed of noise, and of the rows that show where columns lie.
    """

    def __init__(self, model: TableModel, seed: int = 0) -> None:
        self.model, self.seed = model, seed
        self.columns: Sequence[Column] = model.schema.modelled
        self.supports = model.supports
        # Where a companion answers what is given, rows given nothing are its own, too.
        density = model.answering(CONDITIONS)
        answers = answers_conditions(density)
        self._density = density if answers else model.density
        self._conditioner = Conditioner(density, self.supports) if answers else None
        self._walk = LatentWalk.of(model)
        self._usual: dict[int, Marginals] = {}
        self.questions = {"densities": self.densities, "samples": self.samples, "row": self.row}
        if self._walk is not None:
            self.questions = {**self.questions, "latent": self.latent}

    def describe(self) -> dict[str, Any]:
        """Return the columns, and what the model can answer."""
        notes = [self.model.companion_note(CONDITIONS)]
        if self._conditioner is None:
            notes.append(
                "This model has no conditional distributions, so that no column can be held fixed: fit one "
                "that has, such as --model auto, gmm or autoregressive."
            )
        return {
            "kind": "table",
            "what": self.model.kind,
            "conditions": self._conditioner is not None,
            "rows": self.model.schema.rows,
            "columns": [self._column(place, column) for place, column in enumerate(self.columns)],
            "latent": 0 if self._walk is None else min(self._walk.size, MOST_LATENT),
            "notes": [note for note in notes if note is not None],
        }

    @torch.no_grad()
    def densities(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the distribution of columns, given the values of others and given nothing.

        Parameters
        ----------
        given
            ``given``: an object of values as text, by column; ``columns``: the names of those to describe.
        """
        values = values_of(given, "given")
        row = row_of(self.model.schema, self.supports, values)
        names = self.model.schema.modelled_names
        places = [names.index(name) for name in columns_of(given, names, _MOST_COLUMNS)]
        places = [place for place in places if bool(row[place].isnan())]
        new = [place for place in places if place not in self._usual]
        self._usual.update(zip(new, self._marginals(torch.full_like(row, math.nan), new), strict=True))
        usual = [self._usual[place] for place in places]
        found = self._marginals(row, places) if values else usual
        return {
            "columns": [
                self._described(place, one, other)
                for place, one, other in zip(places, found, usual, strict=True)
            ]
        }

    @torch.no_grad()
    def samples(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return rows drawn with some columns given.

        Parameters
        ----------
        given
            ``given`` as in `densities`; ``n``: how many rows; ``seed``: another number for other rows.
        """
        values = values_of(given, "given")
        n, seed = count_of(given, "n", _MOST_ROWS), count_of(given, "seed", 2**31, least=0)
        if values and self._conditioner is None:
            raise self._no_conditions()
        drawn = self.model.condition(values).sample(n, seed) if values else self._some(n, seed)
        return {
            "columns": drawn.column_names,
            "rows": [
                ["" if cell is None else shortly(cell) for cell in row.values()] for row in drawn.to_pylist()
            ],
        }

    @torch.no_grad()
    def row(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return log p of a row, its p-value, and its reasons.

        Parameters
        ----------
        given
            ``values``: an object of values as text, by column; columns left out are missing.
        """
        values = values_of(given, "values")
        if not values:
            raise UsageError("the row has no values", fix="fill in a cell")
        x = row_of(self.model.schema, self.supports, values)[None]
        density = self.model.density
        if bool(x.isnan().any()) and not density.allows_missing:
            empty = [self.columns[place].name for place in x[0].isnan().nonzero().flatten().tolist()]
            raise UsageError(
                f"the model cannot score rows with missing cells ({', '.join(map(repr, empty[:3]))})",
                fix="fill in all cells",
            )
        noisy = bool(self.supports.noisy) and needs_noise(density)
        effort = Effort.of(density.kind == "exact", noisy, 8, None)
        (bound,) = effort.bounds([density], self.supports, x.to(self.model.device), self.seed, 0)
        score, calibration = self.model.judged(x.to(self.model.device), bound.log_prob)
        unexplained = self._unexplained(x)
        return {
            "log_prob": _finite(float(bound.log_prob)),
            "standard_error": _finite(float(bound.standard_error)) or 0.0,
            "kind": self.model.kind,
            "p_value": None if calibration is None else float(calibration.p_values(score)),
            "aside": None if calibration is None else calibration.source,
            "reasons": [] if unexplained else [str(reason) for reason in self._reasons(x)],
            "unexplained": unexplained,
        }

    def latent(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row that a place in latent space stands for.

        Parameters
        ----------
        given
            ``z``: as many numbers as `describe` says, in units of the prior's deviation.
        """
        assert self._walk is not None
        z = numbers_of(given, "z", min(self._walk.size, MOST_LATENT), FARTHEST)
        row = self._walk.row(z).numpy()
        return {
            "columns": [column.name for column in self.columns],
            "values": [self._texts(place, row[place : place + 1])[0] for place in range(len(row))],
        }

    def _unexplained(self, x: Tensor) -> str:
        """Return why no reasons are looked for; nothing if they are."""
        if x.shape[1] < 2:
            return "There are no other cells that it could be compared with."
        if x.shape[1] > _MOST_EXPLAINED:
            return (
                f"Of more than {_MOST_EXPLAINED} columns reasons take too long for a page: "
                "logpx anomalies --explain finds them."
            )
        if self._explainer is None:
            return "This model does not say what single cells should be, given the others."
        return ""

    def _reasons(self, x: Tensor) -> list[Any]:
        assert self._explainer is not None
        return self._explainer.reasons(x.to(self.model.device))[0]

    @cached_property
    def _explainer(self) -> Explainer | None:
        try:
            return Explainer(self.model, self.seed)
        except UsageError:
            return None

    @cached_property
    def _seen(self) -> Tensor:
        """Rows drawn given nothing, by which the ranges of columns are chosen."""
        # Without a seed of their own, no more rows are drawn than these.
        with torch.no_grad(), private_randomness(self.seed):
            drawn = self._density.sample(_ROWS_SEEN)
        return self.supports.snap(drawn).double().cpu()

    def _some(self, n: int, number: int) -> pa.Table:
        """Return the next of the rows drawn given nothing, after those returned for the numbers before."""
        places = (n * number + np.arange(n)) % _ROWS_SEEN
        arrays = [
            arrow_array(values, column, form)
            for values, column, form in zip(
                self._seen[places].numpy().T, self.columns, self.model.arrow_schema.types, strict=True
            )
        ]
        return pa.Table.from_arrays(arrays, schema=self.model.arrow_schema)

    def _no_conditions(self) -> UsageError:
        return UsageError(
            "the model has no conditional distributions", fix="fit one that has, with --model auto"
        )

    def _marginals(self, row: Tensor, places: list[int]) -> list[Marginals]:
        if self._conditioner is None:
            if not bool(row.isnan().all()):
                raise self._no_conditions()
            return [DrawnMarginals(self._seen[:, place][None]) for place in places]
        if not places:
            return []
        draws = _DRAWS if self._conditioner.is_noisy(~row.isnan()) else 1
        rows = self.supports.dequantise_alike(row[None].to(self.model.device), seed=self.seed, draws=draws)
        return self._conditioner.marginals(rows, places, (self.seed, 0))

    def _column(self, place: int, column: Column) -> dict[str, Any]:
        seen = self._seen[:, place]
        found: dict[str, Any] = {"name": column.name, "kind": column.kind}
        if column.levels is not None:
            codes = seen[(seen >= 0) & (seen < len(column.levels))].long()
            counts = torch.bincount(codes, minlength=len(column.levels))
            labels = self._texts(place, np.arange(len(column.levels)))
            return found | {"labels": labels, "usual": int(counts.argmax())}
        levels = torch.tensor([0.005, 0.995, 0.5], dtype=torch.float64)
        ends = seen.quantile(levels)
        points = torch.linspace(float(ends[0]), float(ends[1]), 101, dtype=torch.float64)
        points = torch.tensor(np.unique(self.supports.supports[place].snap(points).numpy()))
        middle = int((points - ends[2]).abs().argmin())
        return found | {"points": self._texts(place, points.numpy()), "usual": middle}

    def _described(self, place: int, found: Marginals, usual: Marginals) -> dict[str, Any]:
        column = self.columns[place]
        if column.levels is not None:
            parts = [self._shares(one, len(column.levels)) for one in (found, usual)]
            texts = self._texts(place, np.arange(len(column.levels)))
            return {"name": column.name, "labels": texts, "share": parts[0], "usual": parts[1]}
        values = self._values(place)
        edges = self._edges(place) if values is None else _between(values)
        masses = []
        for one in (found, usual):
            below = one.cdf(edges.clamp(-_HUGE, _HUGE)[None].to(self.model.device)).cpu()[0]
            masses.append(below.diff().clamp_min(0.0).tolist())
        quantiles = found.quantiles(torch.tensor(_INTERVAL, dtype=torch.float64, device=self.model.device))
        quantiles = self.supports.supports[place].snap(quantiles)[0]
        low, middle, high = self._texts(place, quantiles.double().numpy(force=True))
        centres = self.supports.supports[place].snap(0.5 * (edges[1:] + edges[:-1]))
        return {
            "name": column.name,
            "edges": [_finite(edge) for edge in edges.tolist()],
            "texts": self._texts(place, (centres if values is None else values).numpy()),
            "single": values is not None,
            "share": masses[0],
            "usual": masses[1],
            "low": low,
            "median": middle,
            "high": high,
        }

    def _values(self, place: int) -> Tensor | None:
        """Return the values of a column, if they are few."""
        values = torch.tensor(np.unique(self._seen[:, place].numpy()))
        return values if 1 < len(values) <= _MOST_VALUES else None

    def _edges(self, place: int) -> Tensor:
        """Return the ends of the bars of a column that has many values."""
        seen = self._seen[:, place]
        low, high = seen.quantile(torch.tensor(_ENDS, dtype=torch.float64)).tolist()
        room = 0.05 * (high - low) if high > low else 1.0
        lower, upper = self.supports.supports[place].extent
        return torch.linspace(
            max(low - room, -math.inf if lower is None else lower),
            min(high + room, math.inf if upper is None else upper),
            _BINS + 1,
            dtype=torch.float64,
        )

    @staticmethod
    def _shares(marginals: Marginals, levels: int) -> list[float]:
        if marginals.probabilities is not None:
            shares: list[float] = marginals.probabilities[0, :levels].tolist()
            return shares
        codes = torch.arange(levels, dtype=torch.float64)
        return marginals.cdf(codes[None]).cpu()[0].diff(prepend=torch.zeros(1)).tolist()

    def _texts(self, place: int, values: Any) -> list[str]:
        """Return values of a column as they are written, and read."""
        column = self.columns[place]
        if column.levels is not None:
            return [str(column.levels[int(code)]) for code in values]
        numbers = np.ascontiguousarray(values, dtype=np.float64)
        if self.supports.supports[place].step is None:
            numbers = np.array([float(f"{number:.4g}") for number in numbers])
        texts: list[str] = column.write(numbers, pa.string()).to_pylist()
        return texts


def _between(values: Tensor) -> Tensor:
    """Return limits around and between values: all mass below the first and above the last is theirs."""
    middle = 0.5 * (values[1:] + values[:-1])
    far = torch.tensor([-math.inf, math.inf], dtype=values.dtype)
    return torch.cat([far[:1], middle, far[1:]])


def _finite(number: float) -> float | None:
    """Return a number that JSON has; None for minus infinity."""
    return number if math.isfinite(number) else None
