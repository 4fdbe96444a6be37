"""MNIST, Fashion-MNIST and CIFAR-10 by name: from a local folder, or downloaded."""

from __future__ import annotations

import json
import os
import tarfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from logpx.errors import DataError, ResourceError, UsageError
from logpx.images.reading.binary import read_cifar, read_idx
from logpx.images.reading.download import RemoteFile, cache_folder, fetch, sha256_of
from logpx.images.reading.image_sequence import JoinedImages
from logpx.images.reading.images import Images

__all__ = ["DATA_SETS", "DataSet", "files_of_data_set", "open_data_set", "split_name"]

#: Names a folder in which data sets are looked for.
DATA_VARIABLE = "LOGPX_DATA"


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set with a name.

    Attributes
    ----------
    name : str
        What ``logpx fit`` calls it.
    folders : sequence of str
        Where its files lie below a folder of data, by the custom of common tools.
    splits : mapping of str to sequence of str
        The files of images of each split, without ``.gz``.
    remote : sequence of RemoteFile
        What to download.
    classes : sequence of str
        The names of the labels.
    """

    name: str
    folders: Sequence[str]
    splits: Mapping[str, Sequence[str]]
    remote: Sequence[RemoteFile]
    classes: Sequence[str] = field(default=tuple("0123456789"))

    def local_files(self, split: str, roots: Sequence[Path]) -> list[str]:
        """Return the files of a split in the first folder that holds any of them."""
        for root in roots:
            for inner in (".", *self.folders):
                folder = root / inner
                candidates = [
                    [folder / f"{name}{ending}" for ending in ("", ".gz")] for name in self.splits[split]
                ]
                found = [next((str(f) for f in pair if f.is_file()), None) for pair in candidates]
                if any(found):
                    return [file for file in found if file is not None]
        return []

    def download(self) -> Path:
        """Fetch all files into the cache, and return their folder."""
        folder = cache_folder() / self.name
        for file in self.remote:
            path = fetch(file, folder)
            if path.name.endswith(".tar.gz"):
                _unpack(path, {name for names in self.splits.values() for name in names})
        return folder


def _unpack(archive: Path, names: set[str]) -> None:
    """Write the named files of an archive beside it, each whole or not at all, and nothing else.

    Their hashes are kept in a file, and what differs from them later is unpacked again.
    """
    record = archive.parent / f".{archive.name}.sha256"
    if _unpacked(archive.parent, names) == _recorded(record):
        return
    try:
        with tarfile.open(archive) as content:
            for member in content:
                name = os.path.basename(member.name)
                stream = content.extractfile(member) if member.isfile() and name in names else None
                if stream is None:
                    continue
                temporary = archive.parent / f".{name}.{uuid.uuid4().hex}.tmp"
                temporary.write_bytes(stream.read())
                os.replace(temporary, archive.parent / name)
        record.write_text(json.dumps(_unpacked(archive.parent, names)), encoding="utf-8")
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"the archive is damaged: {error}", file=archive, fix="remove it") from error
    except OSError as error:
        raise ResourceError(
            f"cannot be unpacked: {error.strerror or error}", file=archive, fix="free some space"
        ) from error


def _unpacked(folder: Path, names: set[str]) -> dict[str, str]:
    files = [folder / name for name in sorted(names)]
    return {file.name: sha256_of(file) for file in files if file.is_file()}


def _recorded(record: Path) -> Any:
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _idx(
    name: str, folders: Sequence[str], mirror: str, sha256: Sequence[str], classes: Sequence[str]
) -> DataSet:
    files = [
        f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
    ]
    return DataSet(
        name=name,
        folders=folders,
        splits={"train": ["train-images-idx3-ubyte"], "test": ["t10k-images-idx3-ubyte"]},
        remote=[RemoteFile(file, [mirror], sum_) for file, sum_ in zip(files, sha256, strict=True)],
        classes=classes,
    )


DATA_SETS: dict[str, DataSet] = {
    one.name: one
    for one in (
        _idx(
            "mnist",
            ("mnist", "MNIST/raw", "MNIST"),
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            (
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
            tuple("0123456789"),
        ),
        _idx(
            "fashion-mnist",
            ("fashion-mnist", "FashionMNIST/raw", "FashionMNIST", "fashion_mnist"),
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
            (
                "T-shirt/top",
                "trouser",
                "pullover",
                "dress",
                "coat",
                "sandal",
                "shirt",
                "sneaker",
                "bag",
                "ankle boot",
            ),
        ),
        DataSet(
            name="cifar10",
            folders=("cifar10", "cifar-10-batches-bin", "cifar-10"),
            splits={
                "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
                "test": ["test_batch.bin"],
            },
            remote=[
                RemoteFile(
                    "cifar-10-binary.tar.gz",
                    ["https://www.cs.toronto.edu/~kriz/"],
                    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                )
            ],
            classes=(
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ),
        ),
    )
}


def split_name(source: str) -> tuple[str, str] | None:
    """Return data set and split of a source like ``mnist`` or ``mnist:test``; None if it is no such name.

    Examples
    --------
    >>> split_name("mnist"), split_name("cifar10:test"), split_name("table.csv")
    (('mnist', 'train'), ('cifar10', 'test'), None)
    """
    name, _, split = source.lower().partition(":")
    if name not in DATA_SETS:
        return None
    return name, split or "train"


def files_of_data_set(folder: str) -> tuple[DataSet, list[str]] | None:
    """Return the data set whose training files lie in a folder, with them."""
    for data_set in DATA_SETS.values():
        files = data_set.local_files("train", [Path(folder)])
        if files and os.path.dirname(files[0]) == os.path.normpath(folder):
            return data_set, files
    return None


def open_data_set(
    source: str, data: str | os.PathLike[str] | None = None, levels: int | None = None
) -> Images:
    """Open a data set by its name, such as ``mnist`` (its training images) or ``mnist:test``.

    Its files are looked for in `data`; without it in the folder that the environment variable ``LOGPX_DATA``
    names, and then in the cache of downloads. They are downloaded to the cache if they are nowhere.

    Raises
    ------
    UsageError
        If there is no such data set or split, or `data` does not hold it, or it cannot be downloaded.
    """
    split = split_name(source)
    if split is None:
        raise UsageError(f"there is no data set {source!r}", fix=f"choose one of {', '.join(DATA_SETS)}")
    data_set = DATA_SETS[split[0]]
    if split[1] not in data_set.splits:
        raise UsageError(
            f"{split[0]} has no split {split[1]!r}", fix=f"choose {' or '.join(data_set.splits)}"
        )
    roots = [Path(data)] if data is not None else _usual_roots()
    files = data_set.local_files(split[1], roots)
    if not files and data is not None:
        wanted = f"{data_set.splits[split[1]][0]} (perhaps .gz)"
        raise UsageError(
            f"the folder holds no {wanted}", file=data, fix="name the folder of the data, or leave --data out"
        )
    if not files:
        files = data_set.local_files(split[1], [data_set.download()])
    return images_of_files(data_set, files, levels)


def images_of_files(data_set: DataSet, files: Sequence[str], levels: int | None = None) -> Images:
    """Read files of a data set, with the labels that belong to them."""
    reader = read_cifar if data_set.name == "cifar10" else read_idx
    parts = [reader(file) for file in files]
    images = parts[0][0] if len(parts) == 1 else JoinedImages([part for part, _ in parts])
    found = [labels for _, labels in parts if labels is not None]
    labels = np.concatenate(found) if len(found) == len(parts) else None
    return Images(images, levels, labels, data_set.classes if labels is not None else None)


def _usual_roots() -> list[Path]:
    named = os.environ.get(DATA_VARIABLE)
    return [*([Path(named)] if named else []), cache_folder()]
