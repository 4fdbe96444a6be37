"""Names that help texts list: kept here because help has to be instant, and their modules import PyTorch."""

from __future__ import annotations

__all__ = [
    "COMPRESSED_TEXT",
    "IMAGE_MODELS",
    "READABLE_TABLES",
    "TABLE_MODELS",
    "WRITABLE_TABLES",
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
    "autoregressive",
)
IMAGE_MODELS = ("auto", "realnvp", "glow", "mintnet", "vae")

#: Extensions of the files that tables are read from and written to, and of compressed text.
READABLE_TABLES = (
    ".parquet",
    ".feather",
    ".arrow",
    ".orc",
    ".xlsx",
    ".xlsm",
    ".csv",
    ".tsv",
    ".txt",
    ".jsonl",
    ".ndjson",
)
WRITABLE_TABLES = (".parquet", ".feather", ".arrow", ".csv", ".tsv", ".jsonl", ".ndjson")
COMPRESSED_TEXT = (".gz", ".bz2", ".zst", ".xz", ".lz4")
