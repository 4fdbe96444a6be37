"""The model folder: safetensors and JSON, a closed registry of classes, written whole or not at all."""

from logpx.files.details import Details, model_digest, model_files, read_details
from logpx.files.layout import FORMAT_VERSION
from logpx.storage.loading import load
from logpx.storage.registry import REGISTRY
from logpx.storage.saving import check_target, save, save_or_keep
from logpx.storage.statistics import read_statistics

__all__ = [
    "FORMAT_VERSION",
    "REGISTRY",
    "Details",
    "check_target",
    "load",
    "model_digest",
    "model_files",
    "read_details",
    "read_statistics",
    "save",
    "save_or_keep",
]
