"""What each kind of data has to provide, so that one set of commands serves them all."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from logpx.cli.output import Output, nats
from logpx.cli.requests import FitRequest, Fitted, InspectRequest, Parent, Request, UpdateRequest
from logpx.errors import UsageError
from logpx.wording import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from logpx.detection.selection import Selection
    from logpx.scoring import Evaluation, ScoredBatch, ScoreTotals
    from logpx.tables.reading.text_form import TextForm

__all__ = ["Subject"]


class Subject(ABC):
    """A kind of data.

    Attributes
    ----------
    name : str
        What errors call it.
    rows : str
        What its rows are called.
    read : str
        What errors call the data being read.
    foreign : sequence of str
        The options of ``logpx fit`` that are for another kind of data.
    foreign_to : str
        That kind, in errors.
    """

    name: ClassVar[str]
    rows: ClassVar[str]
    read: ClassVar[str]
    foreign: ClassVar[Sequence[str]]
    foreign_to: ClassVar[str]

    @abstractmethod
    def recognises(self, source: str) -> bool:
        """Tell whether a source on the command line is of this kind."""

    @abstractmethod
    def knows(self, model: Any) -> bool:
        """Tell whether a model is one of such data."""

    @abstractmethod
    def open(self, request: Request, out: Output) -> Any:
        """Open the data of a request, and say what of them is skipped."""

    @abstractmethod
    def files(self, source: Any) -> Iterable[str | None]:
        """Return the files that opened data are read from, if any."""

    @abstractmethod
    def check_model(self, request: FitRequest) -> None:
        """Raise a `UsageError` for an unknown model, or options that it does not take."""

    @abstractmethod
    def fit(self, request: FitRequest, out: Output) -> Fitted:
        """Fit a model."""

    @abstractmethod
    def score_schema(self, model: Any) -> pa.Schema:
        """Return the names and types of the columns that `score` writes."""

    @abstractmethod
    def score_columns(self, source: Any, batch: ScoredBatch) -> Mapping[str, Any]:
        """Return the columns of the scores of a batch."""

    def written_schema(self, model: Any, source: Any, request: Request) -> pa.Schema:
        """Return the names and types of all columns that `score` writes, kept ones included."""
        if request.keep:
            raise UsageError(f"--keep is for tables, not for {self.name}", fix="leave --keep out")
        return self.score_schema(model)

    def scored(
        self, model: Any, source: Any, request: Request, notes: list[str]
    ) -> Iterator[tuple[ScoredBatch, Mapping[str, Any]]]:
        """Yield the scores batch by batch, with the columns to write; append to the notes at the end."""
        for batch in model.score(source, seed=request.seed, draws=request.draws, exactness=request.exactness):
            yield batch, self.score_columns(source, batch)

    def text_form(self, source: Any, request: Request) -> TextForm | None:
        """Return how delimited text is written beside what was read; None for nothing of it."""
        return None

    @abstractmethod
    def sample(self, model: Any, n: int, labels: str | None, request: Request, out: Output) -> None:
        """Write new rows."""

    def inspect(self, request: InspectRequest, out: Output) -> int:
        """Print what a fit would make of the data, and return the exit code."""
        raise UsageError("logpx inspect is for tables", file=request.source, fix="give a table")

    def drift(self, model: Any, alpha: float, request: Request, out: Output) -> None:
        """Print whether new rows come from the distribution of the old ones."""
        raise UsageError("logpx drift is for models of tables", fix="fit a model to a table")

    def impute(self, model: Any, draws: int | None, request: Request, out: Output) -> None:
        """Fill in missing cells, if the data can have any."""
        raise UsageError("logpx impute is for models of tables", fix="fit a model to a table")

    def update(self, model: Any, request: UpdateRequest, parent: Parent, out: Output) -> Fitted:
        """Update a model by new rows, if it can be."""
        raise UsageError("logpx update is for models of tables", fix="fit a model to all images")

    def predict(self, model: Any, quantiles: Sequence[float], request: Request, out: Output) -> None:
        """Write what the model predicts of some columns, given others."""
        raise UsageError("logpx predict is for models of tables", fix="fit a model to a table")

    def cluster(self, model: Any, probabilities: bool, request: Request, out: Output) -> None:
        """Write the component of every row, if the model has components."""
        raise UsageError("logpx cluster is for models of tables", fix="fit a model to a table")

    def anomalies(
        self, model: Any, selection: Selection, explain: bool | None, request: Request, out: Output
    ) -> None:
        """Write the unusual rows with p-values and reasons."""
        raise UsageError("logpx anomalies is for models of tables", fix="fit a model to a table")

    def own_anomalies(
        self, selection: Selection, explain: bool | None, request: Request, out: Output
    ) -> None:
        """Write the unusual rows of a table among its own."""
        raise UsageError(f"logpx anomalies is for tables, not for {self.name}", fix="give a table")

    def check(self, request: FitRequest) -> None:
        """Raise a `UsageError` for options that do not go together, before anything is read."""
        for name in self.foreign:
            if getattr(request, name):
                option = f"--{name.replace('_', '-')}"
                raise UsageError(
                    f"{option} is for {self.foreign_to}, not for {self.name}", fix=f"leave {option} out"
                )
        self.check_model(request)

    def score(self, model: Any, request: Request, out: Output) -> None:
        """Write log p of every row."""
        if request.parts is not None:
            raise UsageError(
                f"parts are for tables, not for {self.name}",
                fix="name a file with -o, without --shard and --resume",
            )
        totals, columns, notes = self.score_file(model, request, out)
        for note in notes:
            out.note(f"note: {note}")
        self.say_totals(totals, model, request, out, {"columns": columns, "notes": notes})

    def score_file(
        self, model: Any, request: Request, out: Output
    ) -> tuple[ScoreTotals, list[str], list[str]]:
        """Write log p of every row into one file; return totals, the names of the columns, and notes."""
        from logpx.scoring import ScoreTotals
        from logpx.tables import open_writer

        request.check_kept()
        source = self.open_other(request, out)
        schema = self.written_schema(model, source, request)
        totals, notes = ScoreTotals(), list[str]()
        form = self.text_form(source, request)
        with open_writer(request.output, schema, request.overwrite, form) as writer:
            for batch, columns in self.scored(model, source, request, notes):
                writer.write(columns)
                totals.add(batch.bound)
        return totals, list(schema.names), notes

    def say_totals(
        self, totals: ScoreTotals, model: Any, request: Request, out: Output, more: Mapping[str, Any]
    ) -> None:
        """Print what is known of all scores together, and more in the JSON answer."""
        unit, every, possible = model.unit, totals.all, totals.possible
        value, error = unit.value(every.value), unit.difference(every.standard_error)
        out.note(f"{self.counted(every.count)}, mean {unit.heading(model.kind)}: {nats(value, error)}")
        if totals.outside:
            others = nats(unit.value(possible.value), unit.difference(possible.standard_error))
            rest = f"; mean of the other {possible.count:,}: {others}" if possible.count else ""
            out.note(f"note: {self.counted(totals.outside, 'lie')} outside the model's support{rest}")
        out.document(
            {
                "output": request.output,
                "outside": totals.outside,
                "rows": every.count,
                "kind": model.kind,
                unit.key: value,
                "standard_error": error,
                unit.worst: unit.value(totals.lowest),
                "draws": request.draws,
                "exactness": request.exactness,
                "seed": request.seed,
                **more,
            }
        )

    def evaluate(self, model: Any, request: Request, out: Output) -> None:
        """Print the mean of log p beside baselines, and a verdict."""
        from logpx.scoring import ModelVerdict

        evaluation = model.evaluate(
            self.open(request, out), seed=request.seed, draws=request.draws, exactness=request.exactness
        )
        heading = evaluation.unit.heading(evaluation.kind)
        out.text(f"{self.counted(evaluation.rows)}, {heading} (mean ± standard error)")
        out.table(_comparisons(evaluation))
        for note in evaluation.notes:
            out.note(f"note: {note}")
        if evaluation.possible is not None:
            out.text(f"{self.counted(evaluation.possible.rows)} that every model finds possible:")
            out.table(_comparisons(evaluation.possible))
        if evaluation.outside:
            out.note(
                f"note: {self.counted(evaluation.outside, 'lie')} outside the model's support: log p is "
                "minus infinity there, and part of the mean"
            )
            for row in evaluation.impossible:
                out.note(f"note: {row}")
            if evaluation.outside > len(evaluation.impossible) > 0:
                out.note(f"note: and {evaluation.outside - len(evaluation.impossible):,} more")
        verdict = ModelVerdict.of(evaluation)
        for sentence in verdict.sentences:
            out.note(sentence)
        out.document(
            {
                **evaluation.to_dict(),
                "unit": evaluation.unit.name,
                "seed": request.seed,
                "verdict": verdict.to_dict(),
            }
        )

    def counted(self, count: int, verb: str = "") -> str:
        """Return a number of rows, and what they do, in words."""
        return counted(count, self.rows.removesuffix("s"), verb)

    def open_other(self, request: Request, out: Output) -> Any:
        """Open the data of a request, unless its output would be written over them."""
        source = self.open(request, out)
        if os.path.exists(request.output):
            for file in self.files(source):
                if file is not None and os.path.exists(file) and os.path.samefile(file, request.output):
                    raise UsageError(
                        f"the output is one of the files of {self.read}",
                        file=request.output,
                        fix="choose another name",
                    )
        return source


def _comparisons(evaluation: Evaluation) -> list[dict[str, str]]:
    unit = evaluation.unit
    first = {
        "model": "this model",
        unit.column: nats(evaluation.value, evaluation.standard_error),
        unit.gain: "",
    }
    others = [
        {
            "model": name,
            unit.column: nats(other.value, other.standard_error),
            unit.gain: "" if math.isnan(other.gain) else nats(other.gain, other.gain_standard_error),
        }
        for name, other in evaluation.baselines.items()
    ]
    return [first, *others]
