"""What the commands that use a model have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logpx.errors import ModelFolderError, UsageError

if TYPE_CHECKING:
    from logpx.tables import TableModel

__all__ = ["load_table_model", "to_stdout"]


def load_table_model(folder: str, device: str) -> TableModel:
    """Load the model of a table.

    Raises
    ------
    ModelFolderError
        If the folder cannot be loaded, or holds a model of arrays.
    """
    from logpx.storage import load
    from logpx.tables import TableModel

    model = load(folder, device)
    if not isinstance(model, TableModel):
        raise ModelFolderError(
            f"holds a {type(model).__name__}, not the model of a table",
            file=folder,
            fix="use it from Python with logpx.load, or fit a table with logpx fit",
        )
    return model


def to_stdout(output: str, as_json: bool, what: str) -> None:
    """Refuse two answers on one stdout."""
    if as_json and output == "-":
        raise UsageError(f"--json and {what} cannot both go to stdout", fix="name a file with -o")
