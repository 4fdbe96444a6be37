"""What a report on a model of a table is made of: the model with rows, samples and their scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from logpx.report.drawing import Drawing
from logpx.report.table_checks import TableChecks, chance_distance, distance
from logpx.report.table_rows import SourceRows, TableRowsSample, plottable, scored
from logpx.storage import Details
from logpx.tables import TableModel

__all__ = ["TableMaterial"]

_SAMPLES = 2000


@dataclass(kw_only=True)
class TableMaterial:
    """A model with rows, samples and their scores, each computed once."""

    name: str
    model: TableModel
    details: Details
    seed: int
    new: TableRowsSample | None
    source: SourceRows | None
    drawing: Drawing = field(default_factory=Drawing)
    scores: dict[str, Tensor] = field(default_factory=dict)
    checks: TableChecks = field(default_factory=TableChecks)

    def __post_init__(self) -> None:
        self.samples = self.model.supports.snap(self.model.density.sample(_SAMPLES, seed=self.seed)).double()
        groups = self.groups
        for name, x in groups.items():
            self.scores[name], evaluation = scored(self.model, x, self.seed)
            if name == self.shown_name:
                self.checks.evaluation = evaluation
        if groups:
            self._check(groups)

    @property
    def groups(self) -> dict[str, Tensor]:
        """The rows at hand by what they are, those that matter most first."""
        found: dict[str, Tensor] = {}
        if self.new is not None:
            found["new rows"] = self.new.x
        source = self.source
        if source is not None and source.aside is not None and len(source.aside) and not source.seen:
            found["rows set aside"] = source.aside
        if source is not None and source.training is not None and not source.seen:
            found["training rows"] = source.training
        if source is not None and (source.seen or not found):
            found["rows of the fit"] = source.rows.x
        return found

    @property
    def shown_name(self) -> str:
        """What the rows are that the model is compared with."""
        return next(iter(self.groups), "")

    @property
    def shown(self) -> Tensor | None:
        """Those rows."""
        return next(iter(self.groups.values()), None)

    def _check(self, groups: Mapping[str, Tensor]) -> None:
        x, checks = groups[self.shown_name], self.checks
        checks.rows, checks.count = f"{len(x):,} {self.shown_name}", len(x)
        self.scores["samples"], _ = scored(self.model, self.samples, self.seed)
        tests = len(self.model.schema.modelled) + 1
        for place, column in enumerate(self.model.schema.modelled):
            pair = x[:, place].numpy(), self.samples[:, place].numpy()
            labels = column.levels is not None
            checks.apart[column.name] = distance(*pair, labels=labels)
            checks.by_chance[column.name] = chance_distance(*pair, labels=labels, tests=tests)
        own, drawn = self.scores[self.shown_name], self.scores["samples"]
        if not bool(x.isnan().any()):
            # Rows with holes have fewer cells to be likely in.
            checks.likelihood_apart = distance(own.numpy(), drawn.numpy())
            checks.likelihood_by_chance = chance_distance(own.numpy(), drawn.numpy(), tests=tests)
        if "training rows" in groups and "rows set aside" in groups:
            both = self.scores["training rows"], self.scores["rows set aside"]
            first, second = (values[values.isfinite()] for values in both)
            if len(first) > 1 and len(second) > 1:
                checks.gap = float(first.mean() - second.mean())
                checks.gap_error = math.hypot(
                    *(float(values.std()) / math.sqrt(len(values)) for values in (first, second))
                )
        checks.notes += [] if self.new is None else self.new.notes
        if self.shown_name == "rows of the fit":
            seen = self.source is not None and self.source.seen
            checks.keep_to_the_fit(self.details.metrics, self.model.kind, seen=seen)
        weight = self.model.schema.weight
        if weight is not None:
            checks.notes.append(
                f"rows count alike here, while the fit weighed them by {weight!r}: the model may differ from "
                "them as weighted rows do; logpx evaluate weighs them"
            )

    def plotted(self, x: Tensor) -> dict[str, Any]:
        """Return rows as columns that can be plotted."""
        return dict(plottable(self.model.schema, x))
