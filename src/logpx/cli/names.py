"""Names that help texts list: kept here because help has to be instant, and their modules import PyTorch."""

from __future__ import annotations

from collections.abc import Iterable

from logpx.suggestions import alternatives

__all__ = [
    "IMAGE_MODELS",
    "READABLE_TABLES",
    "TABLE_MODELS",
    "WRITABLE_TABLES",
    "kinds_of_file",
]

#: The values of --model for tables and for images.
TABLE_MODELS = (
    "auto",
    "gaussian",
    "gmm",
    "ppca",
    "fa",
    "mppca",
    "nice",
    "realnvp",
    "maf",
    "iaf",
    "nsf",
    "vae",
)
IMAGE_MODELS = ("auto", "realnvp", "glow", "mintnet", "vae")

#: Extensions of the files that tables are read from and written to.
READABLE_TABLES = (
    ".parquet",
    ".csv",
    ".tsv",
    ".csv.gz",
    ".tsv.gz",
    ".csv.bz2",
    ".tsv.bz2",
    ".csv.zst",
    ".tsv.zst",
)
WRITABLE_TABLES = (".parquet", ".csv", ".tsv", ".csv.gz", ".tsv.gz")


def kinds_of_file(extensions: Iterable[str]) -> str:
    """Return extensions as a phrase; a compressed form goes without saying.

    Examples
    --------
    >>> kinds_of_file([".parquet", ".csv", ".csv.gz"])
    '.parquet or .csv'
    """
    return alternatives([extension for extension in extensions if extension.count(".") == 1])
