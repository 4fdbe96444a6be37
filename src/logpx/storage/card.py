"""The model card: what a person should know before using the model, as Markdown."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["model_card"]

_ANSWERS = {
    "exact": "the exact log p(x)",
    "lower bound": "a lower bound of log p(x)",
    "estimate": "an unbiased estimate of log p(x), neither exact nor a bound",
}


def model_card(
    name: str, config: Mapping[str, Any], schema: Mapping[str, Any] | None, metrics: Mapping[str, Any]
) -> str:
    """Return the README.md of a model folder.

    Parameters
    ----------
    name
        The folder's name.
    config
        The content of ``config.json``.
    schema
        The content of ``schema.json``; None for a model that is not of a table.
    metrics
        The content of ``metrics.json``.
    """
    sections = [
        f"# {_escape(name)}\n\n{_summary(config, schema, metrics)}",
        _held_out(metrics),
        _verdict(metrics),
        _columns(schema, metrics),
        _candidates(metrics),
        _limits(schema, metrics),
        _use(name, schema, metrics),
        _origin(config, metrics),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _summary(config: Mapping[str, Any], schema: Mapping[str, Any] | None, metrics: Mapping[str, Any]) -> str:
    model = (metrics.get("chosen") or {}).get("model") or config["model"]["class"]
    of = "rows of a table" if schema is not None else _images(metrics) or "arrays"
    answer = _ANSWERS.get(str(metrics.get("kind")), "log p(x)")
    size = f"{config['parameters']:,} parameters"
    text = f"A density over {of}: model {_code(model)}, {size}. It gives {answer}, in nats."
    source = metrics.get("source")
    return text if source is None else f"{text}\n\nFitted to {_escape(source)}."


def _images(metrics: Mapping[str, Any]) -> str:
    images = metrics.get("images")
    if not images:
        return ""
    height, width, channels, levels = (
        _escape(images.get(key)) for key in ("height", "width", "channels", "levels")
    )
    # A file says so, and need not hold a number.
    colours = "1 channel" if channels == "1" else f"{channels} channels"
    return f"images of {height}×{width} pixels, {colours} and {levels} levels"


def _held_out(metrics: Mapping[str, Any]) -> str:
    chosen = metrics.get("chosen") or {}
    mean = chosen.get("validation", metrics.get("best_validation"))
    if mean is None:
        return ""
    error = chosen.get("standard_error", metrics.get("best_validation_error"))
    bits = metrics.get("bits_per_dimension")
    also = ""
    if bits is not None:
        also = f", or **{_number(bits)} ± {_number(metrics.get('standard_error'))} bits per dimension**"
    name = "lower bound of log p(x)" if metrics.get("kind") == "lower bound" else "log p(x)"
    rows = [
        [label, _number(metrics[key])]
        for label, key in (("rows", "rows"), ("to train", "train_rows"), ("set aside", "validation_rows"))
        if metrics.get(key) is not None
    ]
    return (
        f"## Likelihood\n\nMean {name} over {_escape(metrics.get('measured', 'the rows set aside'))}: "
        f"**{_number(mean)} ± {_number(error)} nats per row** (mean ± standard error){also}. "
        "The model was chosen on these rows, so the number is slightly optimistic; "
        "`logpx evaluate` on other rows "
        "is not.\n\n" + _table(["rows", "number"], rows)
    )


def _verdict(metrics: Mapping[str, Any]) -> str:
    sentences = (metrics.get("verdict") or {}).get("sentences", [])
    lines = "\n".join(f"- {_escape(sentence)}" for sentence in sentences)
    return f"## Verdict\n\n{lines}" if lines else ""


def _columns(schema: Mapping[str, Any] | None, metrics: Mapping[str, Any]) -> str:
    if schema is None:
        return ""
    scales = {one.get("column"): one.get("scale") for one in metrics.get("scales", [])}
    header = ["column", "kind", "scale", "grid step", "observed", "why"]
    rows = [
        [
            _escape(column.get("name")),
            _escape(column.get("kind")),
            _escape(scales.get(column.get("name")) or ""),
            _number(column.get("step")),
            _range(column),
            _escape(column.get("reason", "")),
        ]
        for column in schema.get("columns", [])
    ]
    return f"## Columns\n\n{_table(header, rows)}"


def _candidates(metrics: Mapping[str, Any]) -> str:
    candidates = metrics.get("candidates")
    if not candidates:
        return ""
    header = ["model", "scales", "validation nats per row", "standard error", "seconds", ""]
    rows = [
        [
            _escape(one.get("model")),
            _escape(one.get("scales")),
            _number(one.get("validation")),
            _number(one.get("standard_error")),
            _number(one.get("seconds")),
            "chosen" if one.get("chosen") else _escape(one.get("note", "")),
        ]
        for one in candidates
    ]
    return f"## Models that were tried\n\n{_table(header, rows)}"


def _limits(schema: Mapping[str, Any] | None, metrics: Mapping[str, Any]) -> str:
    limits = [
        "A density is not a probability: its logarithm may be positive, and it depends on the units of x."
    ]
    if schema is not None:
        limits.append("It describes the table it was fitted to. Rows from elsewhere may get any value.")
        limits.append(
            "Columns that are not modelled (identifiers, constants, dropped ones) do not enter log p(x)."
        )
    limits.extend(_escape(note) for note in metrics.get("notes", []))
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def _use(name: str, schema: Mapping[str, Any] | None, metrics: Mapping[str, Any]) -> str:
    # A name could otherwise end the block of code that it stands in.
    shown = name if name.isprintable() and "```" not in name else "model"
    quoted, word = json.dumps(shown, ensure_ascii=False), shlex.quote(shown)
    if metrics.get("images"):
        use = 'model.evaluate("new.npz")\nimages = model.sample(64, seed=0)'
        shell = f"logpx evaluate {word} new.npz\nlogpx sample {word} -n 64 -o samples.png"
    elif schema is not None:
        use = 'model.log_prob("new.csv")'
        shell = f"logpx score {word} new.csv -o scores.parquet\nlogpx sample {word} -n 1000 -o samples.csv"
    else:
        use, shell = "model.log_prob(x)\nmodel.sample(1000, seed=0)", ""
    python = f"import logpx\n\nmodel = logpx.load({quoted})\n{use}"
    return "## Use" + (f"\n\n```\n{shell}\n```" if shell else "") + f"\n\n```python\n{python}\n```"


def _origin(config: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    rows = [
        ["logpx", config["logpx_version"]],
        ["format version", config["format_version"]],
        ["PyTorch", config["torch_version"]],
        ["Python", config["python_version"]],
    ]
    if config.get("saved"):
        rows.append(["saved", config["saved"]])
    rows += [
        [label, _number(metrics[label])] for label in ("seed", "seconds") if metrics.get(label) is not None
    ]
    return f"## Origin\n\n{_table(['', ''], rows)}"


def _range(column: Mapping[str, Any]) -> str:
    if column.get("value") is not None:
        return _escape(column["value"])
    if column.get("minimum") is None:
        return ""
    return f"{_number(column['minimum'])} … {_number(column.get('maximum'))}"


def _number(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else _escape(value)


def _escape(value: Any) -> str:
    # A column may be called anything; it must not be able to break out of its table cell.
    text = " ".join(str(value).split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)


def _code(value: Any) -> str:
    return f"`{''.join(c for c in ' '.join(str(value).split()) if c not in '`|<>')}`"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
