"""From a model folder to one page of HTML."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib.resources import files
from typing import Any

from logpx.errors import ModelFolderError
from logpx.files.single import check_file_target, install_file
from logpx.images import ImageModel
from logpx.report.drawing import require_plots
from logpx.report.image_parts import image_report
from logpx.report.parts import Report
from logpx.report.table_parts import table_report
from logpx.storage import load, read_details
from logpx.tables import TableModel

__all__ = ["model_report", "render", "write_report"]

# The builder for each kind of model that a folder may hold.
_BUILDERS: tuple[tuple[type[Any], Any], ...] = ((TableModel, table_report), (ImageModel, image_report))


def model_report(
    folder: str | os.PathLike[str], data: Any = None, *, seed: int = 0, device: str = "cpu"
) -> Report:
    """Return a report on the model of a folder.

    Parameters
    ----------
    folder
        A model folder, of a table or of images.
    data
        Other rows or images: a file or folder. Without them, the source of the fit is looked at, if it is
        still where it was and has as many rows.
    seed
        Of the rows that are looked at, of samples and of noise.
    device
        Where to compute.

    Raises
    ------
    DataError
        If the data cannot be read, or are not of the model's kind.
    MissingExtraError
        If matplotlib is not installed.
    ModelFolderError
        If the folder is damaged, or holds a model of arrays.
    """
    require_plots()
    model, details = load(folder, device), read_details(folder)
    name = os.path.basename(os.path.abspath(folder))
    for kind, builder in _BUILDERS:
        if isinstance(model, kind):
            report: Report = builder(name, model, details, data, seed)
            return report
    raise ModelFolderError(
        f"holds a {type(model).__name__}, not a model of a table or of images",
        file=folder,
        fix="draw its figures with logpx.plots",
    )


def render(report: Report) -> str:
    """Return a report as one page of HTML that needs nothing else.

    All text is escaped. The page forbids itself to load anything or to run other scripts than its own.
    """
    from jinja2 import Environment, StrictUndefined

    page = files("logpx.report") / "page"
    style, script = ((page / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((page / "report.html").read_text(encoding="utf-8"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return template.render(report=report, style=style, script=script, digest=digest)


def write_report(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    data: Any = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    overwrite: bool = False,
) -> Report:
    """Write a report on the model of a folder as one HTML file, which opens without a network.

    Parameters
    ----------
    folder, data, seed, device
        As in `model_report`.
    output
        The file.
    overwrite
        Whether it may be replaced.

    Raises
    ------
    UsageError
        If the file exists.

    Examples
    --------
    >>> import logpx, numpy as np, tempfile
    >>> x = np.random.default_rng(0).normal(size=(300, 2))
    >>> place = tempfile.mkdtemp()
    >>> logpx.save(logpx.fit("gaussian", {"a": x[:, 0], "b": x[:, 1]}).model, f"{place}/model")
    >>> write_report(f"{place}/model", f"{place}/report.html").verdict.level
    'unknown'
    """
    target = check_file_target(output, overwrite)
    report = model_report(folder, data, seed=seed, device=device)
    install_file(render(report).encode(), target)
    return report
