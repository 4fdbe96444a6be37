"""The report on a model of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from logpx import plots
from logpx.errors import UsageError
from logpx.latent import VAE, LinearGaussian
from logpx.report.common import baselines_grid, facts_of, number, training_figures, use_section, with_error
from logpx.report.parts import Figure, Report, Section, SortableTable
from logpx.report.table_checks import integral_transforms
from logpx.report.table_material import TableMaterial
from logpx.report.table_rows import sample_of, source_rows
from logpx.report.unusual_rows import unusual_rows
from logpx.storage import Details
from logpx.tables import TableModel, open_table
from logpx.tables.clusters import mixture_of
from logpx.tables.conditioning.conditioner import Conditioner
from logpx.tables.conditioning.surprisals import CellSurprisals
from logpx.tables.conditioning.transforms import conditional_transforms
from logpx.tables.density import TableDensity
from logpx.wording import counted

__all__ = ["table_report"]

_ROWS, _IMPUTED = 2000, 1000
# Rows and columns whose distributions given the other cells are looked at.
_CONDITIONED_ROWS, _CONDITIONED = 400, 40
_MARGINALS, _PAIRS, _CORRELATIONS, _LINES = 24, 4, 20, 7
# Of a wide table, the columns among which the strongest associations are looked for.
_COMPARED = 60


def table_report(name: str, model: TableModel, details: Details, data: str | None, seed: int = 0) -> Report:
    """Return the report on a model of a table.

    Parameters
    ----------
    name
        The name of the folder.
    model, details
        The model, and what its folder says about it.
    data
        A table of other rows, or None.
    seed
        Of the rows that are looked at, of samples and of noise.

    Raises
    ------
    DataError
        If the table cannot be read, or is not one of the model's.
    """
    metrics = details.metrics
    new = None if data is None else sample_of(open_table(data), model, _ROWS, seed)
    source = source_rows(model, metrics, _ROWS)
    material = TableMaterial(name=name, model=model, details=details, seed=seed, new=new, source=source)
    notes = []
    if source is not None:
        notes.append(f"compared with {metrics['source']}, which the model was fitted to")
    elif data is None:
        notes.append("the table that the model was fitted to is not at hand: give rows with --data")
    sections = [_fitted(material)]
    for part in (_quality, _columns, _samples, _cells, _structure, unusual_rows):
        section = part(material)
        if section is not None:
            sections.append(section)
    sections += [_limits(material), use_section(name, details, _USE)]
    kind = "exact log p" if model.kind == "exact" else f"a {model.kind} of log p"
    return Report(
        title=name,
        subtitle=(
            f"A density of the rows of a table with {counted(len(model.schema.modelled), 'column')}; {kind}."
        ),
        verdict=material.checks.verdict(metrics),
        sections=sections,
        notes=notes,
    )


_USE = (
    "score {model} new.csv -o scores.csv",
    "evaluate {model} test.csv",
    "sample {model} -n 1000 -o samples.csv",
)


def _fitted(material: TableMaterial) -> Section:
    return Section(key="fitted", title="What was fitted", facts=facts_of(material.details))


def _quality(material: TableMaterial) -> Section:
    metrics, drawing = material.details.metrics, material.drawing
    figures: list[Figure] = []
    grids: list[SortableTable] = []
    if material.checks.evaluation is not None:
        grids.append(baselines_grid(material.checks.evaluation, material.checks.rows))
        figures.append(
            drawing.figure(
                "Log p of groups of rows",
                lambda ax: plots.plot_log_prob(material.scores, kind=material.model.kind, ax=ax),
                caption="If the model is right, rows are as likely as samples. Rows of the fit that lie to "
                "the right of rows that it has not seen have been learnt by heart.",
            )
        )
        figures.append(_calibration(material))
        figures += _conditional_calibration(material)
    candidates = metrics.get("candidates")
    if candidates:
        figures.append(
            drawing.figure(
                "Models that were tried",
                lambda ax: plots.plot_leaderboard(candidates, ax=ax),
                caption="Mean log p of rows set aside, in nats and in the table's units.",
                size=(4.6, 1.0 + 0.28 * len(candidates)),
            )
        )
        grids.append(_candidates(candidates))
    figures += training_figures(drawing, metrics)
    return Section(key="quality", title="How well it fits", figures=figures, grids=grids)


def _calibration(material: TableMaterial) -> Figure:
    assert material.shown is not None
    transforms = {
        column.name: integral_transforms(
            material.shown[:, place].numpy(), material.samples[:, place].numpy(), material.seed + place
        )
        for place, column in enumerate(material.model.schema.modelled)
        if column.levels is None and not bool(material.shown[:, place].isnan().all())
    }
    farthest = sorted(transforms, key=lambda name: -material.checks.apart[name])[:_LINES]
    pits = {name: transforms[name] for name in farthest}
    own, drawn = material.scores[material.shown_name], material.scores["samples"]
    pits["log p"] = integral_transforms(own.numpy(), drawn.numpy(), material.seed)
    return material.drawing.figure(
        "Calibration: ranks of rows among samples",
        lambda ax: plots.plot_calibration(pits, ax=ax),
        caption="Left: ranks of values, and of log p, among those of samples are uniform if the model is "
        "right; shown are the columns of numbers that are farthest from it. Right: coverage of central "
        "intervals of the samples.",
        size=(9.2, 3.4),
        wide=True,
    )


def _conditional_calibration(material: TableMaterial) -> list[Figure]:
    """Return the calibration of each column given the others, if the model tells it soon enough."""
    assert material.shown is not None
    names = material.model.schema.modelled_names
    if not 1 < len(names) <= _CONDITIONED:
        return []
    try:
        cells = CellSurprisals(material.model.density, material.model.supports)
    except UsageError:
        return []
    if cells.by_quadrature:
        return []
    x = material.shown[:_CONDITIONED_ROWS].to(material.model.device)
    found = conditional_transforms(cells, x, seed=material.seed).cpu().numpy()
    pits = {name: one[~np.isnan(one)] for name, one in zip(names, found.T, strict=True)}
    apart = {name: _from_uniform(pit) * np.sqrt(len(pit)) for name, pit in pits.items() if len(pit)}
    shown = {name: pits[name] for name in sorted(apart, key=lambda name: -apart[name])[:_LINES]}
    if not shown:
        return []
    return [
        material.drawing.figure(
            "Calibration of each column, given the others",
            lambda ax: plots.plot_calibration(shown, ax=ax),
            caption="Where values lie in the distributions that the model predicts from the other cells of "
            "their rows: uniform if it is right. Shown are the columns that are farthest from it.",
            size=(9.2, 3.4),
            wide=True,
        )
    ]


def _from_uniform(pit: npt.NDArray[np.float64]) -> float:
    """Return the distance of Kolmogorov and Smirnov from the uniform distribution."""
    ordered, steps = np.sort(pit), np.arange(len(pit) + 1) / len(pit)
    return float(max((ordered - steps[:-1]).max(), (steps[1:] - ordered).max()))


def _candidates(candidates: list[Mapping[str, Any]]) -> SortableTable:
    rows = [
        [
            str(one.get("model")),
            str(one.get("scales")),
            with_error(one.get("validation"), one.get("standard_error")),
            number(one.get("seconds"), 3),
            "chosen" if one.get("chosen") else str(one.get("note") or ""),
        ]
        for one in candidates
    ]
    columns = ["model", "scales", "validation nats per row", "seconds", "note"]
    return SortableTable(
        title="Models that were tried", columns=columns, rows=rows, numbers=frozenset({2, 3})
    )


def _columns(material: TableMaterial) -> Section:
    scales = {one["column"]: one["scale"] for one in material.details.metrics.get("scales") or []}
    rows = [
        [
            column["column"],
            column["kind"],
            column["grid"],
            column["range"],
            column["missing"],
            column["distinct"],
            str(scales.get(column["column"], "")),
            column["why"],
        ]
        for column in material.model.schema.describe()
    ]
    names = ["column", "kind", "grid", "values", "missing", "distinct", "scale", "why"]
    grid = SortableTable(title="Columns", columns=names, rows=rows, numbers=frozenset({2, 4, 5}))
    return Section(
        key="columns",
        title="Columns",
        text=["Kinds and supports as inferred or given at the fit. Columns left out do not enter log p."],
        grids=[grid],
    )


def _samples(material: TableMaterial) -> Section:
    names = ("rows", "samples")
    samples = material.plotted(material.samples)
    rows = samples if material.shown is None else material.plotted(material.shown)
    other = None if material.shown is None else samples
    if material.shown is None:
        names = ("samples", "")
    columns = list(rows)
    strongest = _strongest(rows)
    drawing = material.drawing
    figures = [
        drawing.figure(
            "Each column",
            lambda ax: plots.plot_marginals(rows, other, columns=columns[:_MARGINALS], names=names, ax=ax),
            caption="Filled: rows. Line: samples of the model." if other is not None else "Samples.",
            size=(9.2, 0.5 + 1.75 * -(-min(len(columns), _MARGINALS) // min(4, len(columns)))),
            wide=True,
        )
    ]
    if len(columns) > 1:
        figures.append(
            drawing.figure(
                "Pairs of columns",
                lambda ax: plots.plot_pair(
                    rows, other, columns=strongest[:_PAIRS], names=names, points=False, ax=ax
                ),
                caption="The columns that go together most. Lines enclose half and nine tenths of the rows.",
                size=(9.2, 1.9 * min(len(strongest), _PAIRS)),
                wide=True,
            )
        )
        chosen = [name for name in columns if name in strongest[:_CORRELATIONS]]
        side = max(0.16 * len(chosen), 1.6)
        figures.append(
            drawing.figure(
                "Correlations",
                lambda ax: plots.plot_correlations(rows, other, columns=chosen, names=names, ax=ax),
                caption="Rank correlations of numbers; correlation ratios and Cramér's V where there are "
                "labels, which have no sign.",
                size=(9.2, side + 1.2),
                wide=True,
            )
        )
    title = "Rows and samples" if other is not None else "Samples"
    return Section(key="samples", title=title, figures=figures)


def _strongest(rows: Mapping[str, Any]) -> list[str]:
    """Return the names of columns, those that go together with others most first."""
    names = list(rows)[:_COMPARED]
    strengths = plots.associations(rows, columns=names)
    np.fill_diagonal(strengths, 0.0)
    totals = np.nan_to_num(np.abs(strengths)).max(1)
    return [names[int(place)] for place in np.argsort(-totals, kind="stable")]


def _cells(material: TableMaterial) -> Section | None:
    x = material.shown
    if x is None or not bool(x.isnan().any()):
        return None
    drawing, rows = material.drawing, material.plotted(x)
    gaps = int((x.isnan().any(0)).sum())
    figures = [
        drawing.figure(
            "Missing cells",
            lambda ax: plots.plot_missing(rows, ax=ax),
            caption="Left: by column. Right: which cells are missing together.",
            size=(9.2, 1.2 + 0.24 * min(gaps, 24)),
            wide=True,
        )
    ]
    try:
        conditioner = Conditioner(material.model.density, material.model.supports)
    except UsageError:
        return Section(key="missing", title="Missing cells", figures=figures)
    some = x[:_IMPUTED]
    noisy = material.model.supports.dequantise(some, seed=material.seed)
    filled = torch.where(some.isnan(), conditioner.drawn(noisy, (material.seed,)).to(some), some)
    if bool(some.isnan().any()):
        known, complete = material.plotted(some), material.plotted(filled)
        count = int(some.isnan().any(0).sum())
        figures.append(
            drawing.figure(
                "Cells that are filled in",
                lambda ax: plots.plot_imputed(known, complete, ax=ax),
                caption="Filled: the cells that are there. Line: draws for those that are not, given the "
                "rest of their rows. The two may rightly differ.",
                size=(9.2, 0.5 + 1.75 * -(-min(count, 24) // min(4, count))),
                wide=True,
            )
        )
    return Section(key="missing", title="Missing cells", figures=figures)


def _structure(material: TableMaterial) -> Section | None:
    """Return the clusters of a mixture, or the latent space of a model that has one."""
    density = material.model.density
    x = material.samples if material.shown is None else material.shown
    whole = x[~x.isnan().any(1)]
    if not isinstance(density, TableDensity) or not len(whole):
        return None
    noisy = material.model.supports.dequantise(whole, seed=material.seed)
    with torch.no_grad():
        y = density.columns.forward(noisy)[0]
        draw = _clusters(material, whole, y) or _latent(material, density, whole, y)
    if draw is None:
        return None
    title, caption, plot = draw
    figure = material.drawing.figure(title, plot, caption=caption, size=(6.4, 4.4))
    return Section(key="structure", title=title, figures=[figure])


_Drawn = tuple[str, str, Callable[[Any], Any]]


def _clusters(material: TableMaterial, x: Tensor, y: Tensor) -> _Drawn | None:
    try:
        _, mixture = mixture_of(material.model.density)
    except UsageError:
        return None
    if mixture.components < 2:
        return None
    clusters = mixture.responsibilities(y).argmax(1).numpy()
    rows = material.plotted(x)
    caption = "Components of the mixture, in the two columns that tell them apart best."
    return "Clusters", caption, lambda ax: plots.plot_clusters(rows, clusters, ax=ax)


def _latent(material: TableMaterial, density: TableDensity, x: Tensor, y: Tensor) -> _Drawn | None:
    model = density.model
    if not isinstance(model, (LinearGaussian, VAE)):
        return None
    z = model.posterior(y.to(next(model.parameters()).dtype)).mean
    rows = material.plotted(x)
    labelled = [column.name for column in material.model.schema.modelled if column.levels is not None]
    tint = labelled[0] if labelled else next(iter(rows))
    caption = f"Means of the posterior of each row, coloured by {tint}."
    return "Latent space", caption, lambda ax: plots.plot_latent(z, colour=rows[tint], name=tint, ax=ax)


def _limits(material: TableMaterial) -> Section:
    notes = [str(note) for note in material.details.metrics.get("notes") or []]
    text = [
        "A density is not a probability: log p may be positive, and it changes with the units of columns. "
        "It describes the table that the model was fitted to; rows from elsewhere may get any value.",
    ]
    return Section(key="limits", title="Limits and notes", text=text, points=notes)
