"""Names that help texts list: kept here because help has to be instant, and their modules import PyTorch."""

from __future__ import annotations

__all__ = [
    "COMPONENT_MODELS",
    "COMPRESSED_TEXT",
    "IMAGE_MODELS",
    "LATENT_MODELS",
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
#: Those that take --components and --latent.
COMPONENT_MODELS = ("gmm", "mppca")
LATENT_MODELS = ("ppca", "fa", "mppca", "vae")
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
