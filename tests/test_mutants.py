"""Damaged and forged files of every kind: typed errors, in seconds, in little memory.

Mutants are made of whole files: flipped bits, cut and repeated stretches, bytes that mean something; and
of JSON, other values at any place. Those of folders are tried as they are, and with all hashes made anew.
"""

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch

import logpx
from logpx.errors import LogpxError
from logpx.flows import RealNVP
from logpx.latent import GaussianMixture
from logpx.tables import inspect_table, open_table

MOST_SECONDS, MOST_MEMORY = 5.0, 2**30
# Some in `make test`, and 11,520 with the slow ones.
FEW, MANY = 12, 720

BYTES = [
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"1e999",
    b"-",
    b"NaN",
    b'"',
    b",",
    b"\n",
    b"\r",
    b"{",
    b"]",
    b"9" * 40,
]
VALUES: list[Any] = [
    None, True, -1, 0, 1, 3, 2**31, 2**63, 10**30, -0.5, 1e308, "", "nan", "x" * 300, [], {}, [[]], [None],
    {"float": "inf"}, {"class": "RealNVP"}, [0] * 5000,
]  # fmt: skip


def changed_bytes(content: bytes, random: random.Random) -> bytes:
    """Return a file with one to four changes."""
    mutant = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 4))):
        place, length = random.randrange(len(mutant) or 1), random.choice((1, 1, 8, 64, 1000))
        match random.randrange(6):
            case 0:
                mutant[place : place + 1] = (
                    bytes([mutant[place] ^ 1 << random.randrange(8)]) if mutant else b""
                )
            case 1:
                mutant[place : place + 1] = bytes([random.randrange(256)])
            case 2:
                del mutant[place : place + length]
            case 3:
                mutant[place:place] = mutant[place : place + length]
            case 4:
                mutant[place:place] = random.choice(BYTES)
            case 5:
                del mutant[place:]
    return bytes(mutant)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a JSON document: what holds it, and the key or number."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


def changed_values(content: bytes, random: random.Random) -> bytes:
    """Return a JSON document with another value somewhere, one value less, or one repeated."""
    document = json.loads(content)
    holder, key = random.choice(list(places(document)))
    match random.randrange(4):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.append(holder[key])
        case 2 if isinstance(holder[key], (int, float)):
            holder[key] = random.choice(
                (-holder[key], holder[key] + 1, holder[key] * 1000, float(holder[key]))
            )
        case _:
            holder[key] = random.choice(VALUES)
    return json.dumps(document).encode()


def seal(folder: Path) -> None:
    """Write the manifest anew, as someone who forges a folder would."""
    entries = {
        path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in folder.iterdir()
        if path.name not in ("manifest.json", "README.md")
    }
    (folder / "manifest.json").write_text(json.dumps({"files": entries}))


def rows(count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]])


def table() -> pa.Table:
    x = rows()
    label = np.where(x[:, 0] > 0, "yes", "no")
    count = np.random.default_rng(1).poisson(3.0, len(x))
    return pa.table({"a": x[:, 0], "b": pa.array(x[:, 1], mask=x[:, 1] > 2), "count": count, "label": label})


def read_table(file: Path) -> None:
    model = logpx.load(file.parent / "model")
    found = open_table(file)
    inspect_table(found)
    for _ in model.score(found):
        pass


def load_model(file: Path) -> None:
    model = logpx.load(file.parent)
    if isinstance(model, logpx.tables.TableModel):
        list(model.score(open_table(table())))
    else:
        model.log_prob(torch.zeros(3, *model.event_shape))
    model.sample(3, seed=0)


def stop_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(steps))
    return lambda: next(asked, None) is None


def fit_flow(**options: Any) -> None:
    model = RealNVP(2, layers=2, hidden=(4,))
    options = {"max_steps": 9, "batch_size": 16, "noise": 0.1, "progress": False, **options}
    logpx.fit(model, rows(), **options)


def fit_mixture(**options: Any) -> None:
    logpx.fit(GaussianMixture(2, 2), rows(), restarts=1, max_epochs=9, progress=False, **options)


def fit_stream(**options: Any) -> None:
    parts = list(np.split(rows(), 4))
    logpx.fit(GaussianMixture(2, 2), parts, restarts=1, max_epochs=9, progress=False, **options)


def resume_stream(file: Path) -> None:
    fit_stream(resume=file.parent.parent.parent)


def resume_flow(file: Path) -> None:
    fit_flow(resume=file.parent.parent)


def resume_mixture(file: Path) -> None:
    fit_mixture(resume=file.parent.parent.parent)


def fit_in_parts(**options: Any) -> None:
    numbers = {name: column for name, column in zip("ab", rows().T, strict=True)}
    logpx.tables.fit_table(numbers, "gmm", components=2, max_steps=3, **options)


def resume_in_parts(file: Path) -> None:
    fit_in_parts(resume=file.parent.parent.parent)


# The file, what reads it, and whether it is a JSON document.
KINDS: dict[str, tuple[str, Callable[[Path], None], bool]] = {
    "csv": ("t.csv", read_table, False),
    "parquet": ("t.parquet", read_table, False),
    "config": ("model/config.json", load_model, True),
    "schema": ("model/schema.json", load_model, True),
    "manifest": ("model/manifest.json", load_model, True),
    "metrics": ("model/metrics.json", load_model, True),
    "weights": ("model/model.safetensors", load_model, False),
    "config of a flow": ("flow/config.json", load_model, True),
    "checkpoint of gradient descent": ("descent/step-*/state.json", resume_flow, True),
    "its tensors": ("descent/step-*/tensors.safetensors", resume_flow, False),
    "checkpoint of EM": ("em/start-0/step-*/state.json", resume_mixture, True),
    "checkpoint within a pass": ("stream/start-0/step-*/state.json", resume_stream, True),
    "its sums": ("stream/start-0/step-*/tensors.safetensors", resume_stream, False),
    "plan of a fit": ("parts/plan/step-*/state.json", resume_in_parts, True),
    "beginning of a fit": ("parts/begun/step-*/state.json", resume_in_parts, True),
    "its manifest": ("em/start-0/step-*/manifest.json", resume_mixture, True),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of every kind."""
    folder = tmp_path_factory.mktemp("originals")
    pa.csv.write_csv(table(), folder / "t.csv")
    pq.write_table(table(), folder / "t.parquet")
    model = logpx.fit("gmm", table(), components=2, max_steps=3, seed=0).model
    logpx.save(model, folder / "model", metrics={"seconds": 1.5, "rows": 40})
    logpx.save(RealNVP(2, layers=2, hidden=(4,)), folder / "flow")
    fit_flow(checkpoint=folder / "descent", should_stop=stop_after(5))
    fit_mixture(checkpoint=folder / "em", should_stop=stop_after(3))
    fit_stream(checkpoint=folder / "stream", should_stop=stop_after(6))
    fit_in_parts(checkpoint=folder / "parts", every=1e-9)
    return folder


class TooLong(BaseException):
    """A mutant took more processor time than it may."""


def give_up(*_: object) -> None:
    raise TooLong


def try_mutant(kind: str, work: Path, number: int, generator: random.Random) -> bool:
    """Read a mutant of a copy of the files; return whether it was refused."""
    pattern, read, document = KINDS[kind]
    *older, file = sorted(work.glob(pattern))
    for other in older:
        shutil.rmtree(other.parent)
    change = changed_values if document and number % 3 else changed_bytes
    file.write_bytes(change(file.read_bytes(), generator))
    if number % 2 and file.name != "manifest.json" and (file.parent / "manifest.json").exists():
        seal(file.parent)
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        read(file)
    except LogpxError:
        return True
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
    return False


def try_mutants(originals: Path, kind: str, count: int, answers: Any) -> None:
    """Try mutants of a kind in this process; answer what was wrong, how many were refused, and the memory."""
    generator, wrong, refused = random.Random(kind), [], 0
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    signal.signal(signal.SIGPROF, give_up)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        work = originals.with_name(f"{originals.name}-{os.getpid()}-{number}")
        shutil.copytree(originals, work)
        try:
            refused += try_mutant(kind, work, number, generator)
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            wrong.append(f"mutant {number}: {type(error).__name__}: {error} ({where.name})"[:300])
        shutil.rmtree(work)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers.send((wrong, refused, 1024 * (after - before)))


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_mutants_end_in_typed_errors(forking, originals: Path, kind: str, count: int):
    own, other = forking.Pipe(duplex=False)
    process = forking.Process(target=try_mutants, args=(originals, kind, count, other))
    process.start()
    other.close()
    try:
        wrong, refused, memory = own.recv()
    except EOFError:
        process.join()
        pytest.fail(f"the process ended with {process.exitcode}")
    process.join()
    assert wrong == []
    assert memory < MOST_MEMORY
    # Most changes are seen.
    assert refused > count // 8
