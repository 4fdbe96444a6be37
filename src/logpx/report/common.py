"""What reports on tables and on images share: facts about a model, its training, and how to use it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from logpx import plots
from logpx._version import __version__
from logpx.report.drawing import Drawing
from logpx.report.parts import Figure, Section, SortableTable
from logpx.scoring import Evaluation
from logpx.storage import Details

__all__ = ["baselines_grid", "facts_of", "number", "training_figures", "use_section", "with_error"]


def number(value: Any, digits: int = 4) -> str:
    """Return a number in a few digits; a dash for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}g}"


def with_error(value: float | None, error: float | None) -> str:
    """Return a mean with its standard error, to the same decimal."""
    if value is None or not math.isfinite(value):
        return number(value)
    if error is None or not math.isfinite(error) or error <= 0.0:
        return f"{value:.3f}"
    digits = min(6, max(2, 1 - math.floor(math.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def facts_of(details: Details, things: str = "rows") -> list[tuple[str, str]]:
    """Return what was fitted, to what, how, and when; ``things`` are rows or images."""
    config, metrics = details.config, details.metrics
    chosen = metrics.get("chosen") or {}
    facts = [("model", str(chosen.get("model") or config["model"]["class"]))]
    facts.append(("parameters", f"{config['parameters']:,}, {details.weights_bytes / 1e6:.2f} MB"))
    if metrics.get("kind"):
        facts.append(("log p(x)", f"{metrics['kind']}, in nats"))
    if metrics.get("source"):
        facts.append(("fitted to", str(metrics["source"])))
    if metrics.get("train_rows") is not None:
        facts.append(
            (
                things,
                f"{metrics.get('rows', 0):,}: {metrics['train_rows']:,} to train, "
                f"{metrics.get('validation_rows', 0):,} to choose the model by",
            )
        )
    if metrics.get("bits_per_dimension") is not None:
        bits = with_error(metrics["bits_per_dimension"], metrics.get("standard_error"))
        facts.append(("at the fit", f"{bits} bits per dimension"))
    elif chosen.get("validation") is not None:
        mean = with_error(chosen["validation"], chosen.get("standard_error"))
        facts.append(("at the fit", f"{mean} nats per row, over {metrics.get('measured', 'rows set aside')}"))
    if metrics.get("seconds") is not None:
        facts.append(("took", f"{metrics['seconds']:.1f} s, seed {metrics.get('seed')}"))
    # A fit that can be repeated to the bit leaves no dates.
    saved = [*filter(None, [config.get("saved")]), f"logpx {config['logpx_version']}"]
    facts.append(("saved", ", ".join(saved)))
    return facts


def training_figures(drawing: Drawing, metrics: Mapping[str, Any], things: str = "rows") -> list[Figure]:
    """Return a figure for each training whose history is kept, those of the chosen model first."""
    unit = f"nats per {things[:-1]}"
    chosen = str((metrics.get("chosen") or {}).get("model", "")).split(" + ")
    runs = [run for run in metrics.get("training") or [] if run.get("history")]
    runs = sorted(runs, key=lambda run: run.get("model") not in chosen)[:2]
    figures = []
    for run in runs:

        def draw(ax: Any, run: Mapping[str, Any] = run) -> None:
            plots.plot_training(
                run["history"], stopped=run.get("stopped"), events=run.get("events") or (), unit=unit, ax=ax
            )

        figures.append(
            drawing.figure(
                f"Training of {run.get('model')}",
                draw,
                caption=f"Likelihood of training {things} (dashed) and of {things} set aside, in the units "
                "that the network is trained in. The band is two standard errors.",
            )
        )
    return figures


def baselines_grid(evaluation: Evaluation, rows: str) -> SortableTable:
    """Return the model beside its baselines."""
    unit = evaluation.unit
    cells = [["this model", with_error(evaluation.value, evaluation.standard_error), ""]]
    cells += [
        [
            name,
            with_error(other.value, other.standard_error),
            "–" if math.isnan(other.gain) else with_error(other.gain, other.gain_standard_error),
        ]
        for name, other in evaluation.baselines.items()
    ]
    return SortableTable(
        title=f"Likelihood of {rows} (mean ± standard error)",
        columns=["model", unit.column, unit.gain],
        rows=cells,
        numbers=frozenset({1, 2}),
    )


def use_section(name: str, details: Details, use: Sequence[str], options: Sequence[str] = ()) -> Section:
    """Return how to use, to make again and to cite the model; ``options`` are those of its fit."""
    metrics, config = details.metrics, details.config
    word = shlex.quote(name)
    commands = "\n".join(f"logpx {line.format(model=word)}" for line in use)
    blocks = [commands]
    source = metrics.get("source")
    chosen = metrics.get("chosen") or {}
    if source is not None:
        # A stack is found again by trying all that can be in it.
        family = str(chosen.get("model", "auto"))
        family = "auto" if "+" in family else family
        asked = [f"--model {family}", *options]
        if metrics.get("ended") == "time" and metrics.get("seconds") is not None:
            asked.append(f"--time {math.ceil(metrics['seconds'])}s")
        asked.append(f"--seed {metrics.get('seed', 0)}")
        blocks.append(
            # What follows a plus sign names a build, which the package index does not have.
            f"pip install 'logpx=={config['logpx_version']}' "
            f"'torch=={str(config['torch_version']).partition('+')[0]}'\n"
            f"logpx fit {shlex.quote(str(source))} -o {word} {' '.join(asked)}"
        )
    blocks.append(
        "@software{logpx,\n  author = {{The logpx developers}},\n"
        "  title = {logpx: generative models whose likelihood can be computed or bounded},\n"
        f"  version = {{{config['logpx_version']}}},\n  license = {{Apache-2.0}}\n}}"
    )
    return Section(
        key="use",
        title="Use, make again, cite",
        text=[
            "Commands that use the model; commands that fit it again, on the same data; and a BibTeX entry. "
            "A fit that time ended does not come out exactly the same on another machine."
        ],
        facts=[
            ("logpx", f"{config['logpx_version']} fitted the model, {__version__} wrote this report"),
            ("PyTorch, Python", f"{config['torch_version']}, {config['python_version']}"),
        ],
        code=blocks,
    )
