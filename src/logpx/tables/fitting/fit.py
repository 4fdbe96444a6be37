"""From a table to a fitted model: schema, column maps, candidates, choice."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from logpx.distributions.seeding import checked_seed
from logpx.errors import UsageError
from logpx.scoring import Limits, Stopwatch
from logpx.suggestions import suggestion
from logpx.tables.columns.supports import Supports
from logpx.tables.density import TableDensity
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import Budget, QuickFamily, TableFamily
from logpx.tables.fitting.all_rows import (
    SHARE_OF_SAMPLE,
    Finish,
    FitToAllRows,
    in_place_of_sample,
    is_long,
    require_all_rows,
)
from logpx.tables.fitting.conclusion import concluded
from logpx.tables.fitting.cross_validation import cross_validation
from logpx.tables.fitting.fit_result import TableFitResult, result_of
from logpx.tables.fitting.identity import identity_of
from logpx.tables.fitting.longer_fits import FIRST_PART, fit_longer
from logpx.tables.fitting.notes import notes_on
from logpx.tables.fitting.other_starts import fit_from_other_starts
from logpx.tables.fitting.requirements import located_in, require_labels_allowed
from logpx.tables.fitting.rows import DividedRows, divided_rows, folds_of
from logpx.tables.fitting.search import Search
from logpx.tables.fitting.streamed_rows import StreamedRows
from logpx.tables.fitting.suitability import Nature, suitable_families
from logpx.tables.fitting.trials import require_trials
from logpx.tables.fitting.weighing import given_weights
from logpx.tables.reading.table import Table
from logpx.tables.schema.inference import inspect_columns
from logpx.tables.schema.problems import left_out_notes
from logpx.tables.schema.schema import Schema
from logpx.tables.schema.weights import pinned_weight, schema_with_weight
from logpx.tables.sources import open_table
from logpx.training.compiled import compile_choice
from logpx.training.device import usable_device
from logpx.training.journal import journal_of
from logpx.wording import counted

__all__ = ["fit_table"]

_DEFAULT_SECONDS = 60.0


def fit_table(
    source: Any,
    model: str = "auto",
    *,
    columns: Mapping[str, Any] | None = None,
    schema: Schema | None = None,
    components: int | None = None,
    latent: int | None = None,
    validation: Any = None,
    max_time: float | None = None,
    max_steps: int | None = None,
    max_epochs: int | None = None,
    seed: int = 0,
    report: Callable[[str], object] = lambda line: None,
    progress: Any = None,
    should_stop: Callable[[], bool] = lambda: False,
    device: torch.device | str = "cpu",
    compile: bool | str = "auto",
    trials: int = 0,
    missing: Any = None,
    decimal: str | None = None,
    conditional: bool = False,
    target: Sequence[str] = (),
    weights: Any = None,
    all_rows: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    every: float = 30.0,
) -> TableFitResult:
    r"""Fit a model to a table: infer the schema, choose column scales, fit, choose by validation likelihood.

    Parameters
    ----------
    source
        Anything that `open_table` takes.
    model
        ``auto``, or a name in `logpx.tables.FAMILIES`.
    columns
        Kinds that override the inferred ones, by column name; see `infer_schema`.
    schema
        A complete schema instead of an inferred one.
    components, latent
        The number of components and of latent dimensions of a named model that has them; chosen by default.
    validation
        A second table to choose by. By default, a tenth of the rows is set aside, more of a small table, and
        less of one so long that scoring a tenth would take much of the time; with fewer than 40, quick models
        are compared by cross-validation instead, and none is set aside.
    max_time
        How many seconds to take at most, 60 by default; a few are needed whatever the limit. What is cut
        short is said in the notes. Reading the table is not cut short.
    max_steps, max_epochs
        The most gradient steps, or passes over the training rows, of each model that is tried; an iteration
        of EM counts as one of either. Then there is no limit of time unless one is given too, and the same
        fit gives the same model, bit for bit, on the same machine.
    seed
        Seed for everything random.
    report
        Called with a line of text after each step.
    progress
        As of `logpx.training.fit`: by default a bar if stderr is a terminal.
    should_stop
        Called now and then; true ends the fit with the best model so far.
    device
        Where flows are trained; the returned model is on the CPU.
    compile
        Whether training steps of flows run as native code; see `logpx.training.fit`.
    trials
        How many sizes and learning rates of models trained by gradient descent to try before the best of them
        are trained, by Optuna (the extra ``tune``). Trials take a part of the time, in equal shares.
    missing, decimal
        Words that mean a missing cell, and the decimal mark; see `open_table`. The model remembers them.
    conditional
        Whether only models are tried that answer for some columns given others.
    target
        Columns that will be asked for given all others. Only models are then tried that answer, they are
        compared by log p of these given the others, `autoregressive` is trained for it, and none are stacked.
    weights
        The name of the column that says how much each row counts, which is then not modelled, or one number
        for each row; see Notes.
    all_rows
        Whether the model is fitted to all rows of a table of which a sample would do: more than 400,000
        numbers for EM, more than 40 million for all models. Its kind, size and scales are chosen on the
        sample, in a third of the time; then EM reads the table again for each step, in constant memory and
        at least once. Models trained by gradient descent are left out.
    checkpoint, resume, every
        A folder in which the fit is kept, a folder to go on with, and the seconds between checkpoints: as in
        `logpx.training.fit`. Candidates that are ready are not fitted again.

    Returns
    -------
    TableFitResult
        With the model, whose log p is in the table's own units.

    Notes
    -----
    A row of weight w counts in scales, EM, gradients, baselines, choices and held-out means like w rows, and
    one of weight 0 not at all. Only ratios matter: priors, and the sizes of models, see the effective number
    of rows, :math:`(\sum w)^2 / \sum w^2`, since rows repeated tell no more. Standard errors allow for
    weights. The schema of the model remembers the column, so that `evaluate` and `compare` of a table which
    has it weigh its rows too. P-values of anomalies and comparisons with later tables (`logpx.drift`) refer
    to rows as they are in tables, and count them alike.

    Raises
    ------
    DataError
        If the table cannot be read or modelled; names file, row and column as far as they apply.
    DivergedError
        If no candidate could be fitted.
    UsageError
        If an argument is invalid.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).lognormal(size=(300, 2))
    >>> result = fit_table({"a": x[:, 0], "b": x[:, 1]}, model="gaussian")
    >>> result.chosen.model, result.chosen.scales
    ('gaussian', 'chosen')
    """
    limits = Limits.of(max_time, max_steps, max_epochs, usual_seconds=_DEFAULT_SECONDS)
    journal = journal_of(checkpoint, resume, every, should_stop, eager=False)
    watch = Stopwatch(limits.seconds)
    seed = checked_seed(seed, least=0)
    where = usable_device(device)
    compile_choice(compile)
    families = _families(model, {"components": components, "latent": latent}, trials, all_rows)
    numbers = given_weights(weights)
    table = open_table(source, missing=missing, decimal=decimal)
    other = None if validation is None else open_table(validation)
    schema = _weighed(_schema(table, columns, schema, seed, weights), numbers)
    require_labels_allowed(schema, families, table.file)
    missing_allowed = any(family.allows_missing for family in families)
    how = partial(divided_rows, missing=missing_allowed, crossed=_quick(families) or model == "auto")
    read = how(table, other, schema, seed, seconds=limits.seconds, weights=numbers)
    reading = watch.seconds
    holes = bool(read.rows.isnan().any() | read.held_out.isnan().any())
    few, count = read.undivided, len(read.training)
    nature = replace(Nature.of(schema, count, holes=holes, few=few), conditional=conditional or bool(target))
    suited, left_out = suitable_families(model, nature, table.file)
    rows = None
    if all_rows and is_long(read):
        rows = StreamedRows(table=table, schema=schema, seed=seed, given=numbers, unit=read.unit)
        suited = [family for family in suited if isinstance(family, QuickFamily)]
    _announce(schema, read, reading if rows is None and read.sampled else None, report)
    notes = [*_notes(schema, read, streamed=rows is not None), *left_out]
    budget = Budget(
        seconds=watch.left,
        limits=limits,
        rows=len(read.training),
        **_described(schema, target),
        components=components,
        latent=latent,
        seed=seed,
        should_stop=should_stop,
        progress=progress,
        device=where,
        journal=journal,
        compile=compile,
    )
    with journal.held(flush=limits.unfinished_by_time), located_in(table.file):
        arguments = {"model": model, "conditional": conditional, "trials": trials}
        journal.identify(identity_of(schema, read, budget, arguments, all_rows=all_rows), table.file)
        watch.count(journal.before)
        journal.limit(limits.seconds)
        budget = replace(budget, seconds=watch.left * (1.0 if rows is None else SHARE_OF_SAMPLE))
        search, measured, seen = _searched(schema, read, suited, budget, nature.wide, trials, report)
        # A model requested by name is that model, not a stack of several.
        if auto := model == "auto":
            fit_from_other_starts(search, suited)
        last = None if rows is None else partial(_finished, rows, read, budget, watch)
        found = concluded(search, schema, read, measured=measured, seen=seen, several=auto, last=last)
    return result_of(
        search,
        found,
        read,
        seconds=watch.seconds,
        measured=measured,
        notes=[*table.notes, *notes, *found.notes],
        train_rows=len(read.training) if rows is None else read.count,
    )


def _announce(
    schema: Schema, read: DividedRows, sampling: float | None, report: Callable[[str], object]
) -> None:
    """Say what is fitted to; if a sample, after so many seconds of reading, what all rows would cost."""
    columns = counted(len(schema.modelled), "modelled column")
    report(f"{counted(read.count, 'row')}, {columns}; {read.division}")
    if sampling is not None:
        report(in_place_of_sample(read, sampling))


def _notes(schema: Schema, read: DividedRows, *, streamed: bool) -> list[str]:
    """Return what a user should know of the columns and of the rows."""
    notes = notes_on(schema, read.rows, read.weights)
    if streamed:
        notes.append(f"kind, size and scales were chosen on a sample of {len(read.rows):,} rows")
    elif read.sampled:
        notes.append(f"fitted to a uniform sample of {len(read.rows):,} of the {counted(read.count, 'row')}")
    return [*left_out_notes(schema.columns), *notes]


def _families(model: str, options: Mapping[str, Any], trials: int, all_rows: bool) -> tuple[TableFamily, ...]:
    """Return the families that a name stands for, if they take the options."""
    FAMILIES.check_options(model, options)
    if all_rows:
        require_all_rows(model)
    families = FAMILIES.named(model)
    require_trials(model, families, trials)
    return families


def _described(schema: Schema, target: Sequence[str]) -> dict[str, Any]:
    """Return what a `Budget` says of the columns.

    Raises
    ------
    UsageError
        If a target is no modelled column, or all columns are targets.
    """
    names = schema.modelled_names
    for name in target:
        if name not in names:
            raise UsageError("the target is no modelled column", column=name, fix=suggestion(name, names))
    if target and len(set(target)) == len(names):
        raise UsageError("all columns are targets", fix="leave at least one column to be given")
    return {
        "target": [names.index(name) for name in target],
        "kinds": ["normal" if one.levels is None else len(one.levels) for one in schema.modelled],
        "supports": Supports.of(schema.modelled).supports,
        "periods": [column.periods for column in schema.modelled],
    }


def _finished(
    rows: StreamedRows, read: DividedRows, budget: Budget, watch: Stopwatch, density: TableDensity
) -> Finish:
    """Fit the chosen density to all rows of the table in the time that is left."""
    holes = bool(read.rows.isnan().any())
    left = replace(budget, seconds=watch.left)
    return FitToAllRows(rows=rows, count=read.count, budget=left, holes=holes).fit(density)


def _quick(families: Sequence[TableFamily]) -> bool:
    return all(isinstance(family, QuickFamily) for family in families)


def _searched(
    schema: Schema,
    read: DividedRows,
    families: Sequence[TableFamily],
    budget: Budget,
    wide: bool,
    trials: int,
    report: Callable[[str], object],
) -> tuple[Search, str, bool]:
    """Return a search that has tried the families, what rows it compares them on, and if they saw those."""
    training, held_out = read.training, read.held_out
    scores: dict[tuple[str, str], Tensor] = {}
    places, weighing = torch.empty(0, dtype=torch.int64), None
    if read.undivided and _quick(families):
        folds = folds_of(len(training))
        share = budget.seconds / (folds + 1)
        scores, places, weighing = cross_validation(
            schema, training, families, replace(budget, seconds=share * folds), read.training_weights
        )
        budget = replace(budget, seconds=share)
    search = Search(
        schema,
        training,
        held_out,
        budget,
        weights=read.training_weights,
        weights_aside=read.held_out_weights,
        report=(lambda line: None) if scores else report,
    )
    if not wide:
        search.refuse_redundant()
    if trials and read.undivided:
        search.remarks.append("no settings were tried, for there are too few rows to set some aside")
    at_once = read.undivided or budget.limits.repeatable
    search.run(families, 0 if read.undivided else trials, part=1.0 if at_once else FIRST_PART)
    if not at_once:
        fit_longer(search, families)
    if not read.undivided:
        return search, read.division, False
    if not scores:
        weighted = f", {read.weighted_by}" if read.weighted_by else ""
        return search, f"the {counted(len(training), 'row')} that it was fitted to{weighted}", True
    search.rescore(scores, places, weighing)
    for candidate in search.candidates:
        report(f"{candidate.model} on {candidate.scales} scales: {candidate.score:.3f} nats per row left out")
    return search, f"{counted(len(search.candidates[0].log_prob), 'row')} by {read.division}", False


def _schema(
    table: Table, columns: Mapping[str, Any] | None, schema: Schema | None, seed: int, weights: Any
) -> Schema:
    """Return the given schema, or else an inferred one, after checking it against the table."""
    if schema is None:
        if isinstance(weights, str):
            columns = pinned_weight(columns, weights, table)
        inspection = inspect_columns(table, columns, seed=seed)
        inspection.require_clean()
        return inspection.schema
    if not isinstance(schema, Schema):
        raise UsageError(
            f"the schema is a {type(schema).__name__}", fix="read a file with Schema.from_json(content)"
        )
    if columns:
        raise UsageError(
            "both a schema and columns were given", fix="put the kinds into the schema, or leave it out"
        )
    if isinstance(weights, str):
        schema = schema_with_weight(schema, weights, table)
    schema.check(table.names, table.file)
    schema.require_modelled(table.file)
    return schema


def _weighed(schema: Schema, weights: Any) -> Schema:
    """Return the schema, unless rows are to be weighted by one of its columns and by numbers, too."""
    if weights is not None and schema.weight is not None:
        raise UsageError(
            f"weights were given, and the column {schema.weight!r} is to weigh the rows, too",
            fix="leave one of the two out",
        )
    return schema
