"""A model folder loads bit for bit in a fresh process, or says what is wrong with it; it executes nothing."""

import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.distributions import Independent, Laplace

import logpx
from logpx.distributions import FromTorch, OrderAgnostic
from logpx.distributions.columns import LabelColumn
from logpx.errors import ModelFolderError, UsageError
from logpx.flows import MAF, RealNVP
from logpx.latent import GaussianMixture
from logpx.storage import FORMAT_VERSION, load, read_details, save
from logpx.transforms import Permutation

LAPLACE = {"family": "Laplace", "shapes": {"loc": [3], "scale": [3]}, "trained": [], "event_dims": 1}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "model"
    save(RealNVP(3, layers=2, hidden=(8,)), folder, metrics={"seconds": 1.5})
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "model"))


@pytest.fixture(scope="module")
def table_folder(every_model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a table with all that goes with it."""
    folder = tmp_path_factory.mktemp("table") / "model"
    save(every_model["TableModel"](), folder)
    return folder


def seal(folder: Path) -> None:
    """Write the manifest anew, as someone who forges a folder would."""
    entries = {
        path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in folder.iterdir()
        if path.name not in ("manifest.json", "README.md")
    }
    (folder / "manifest.json").write_text(json.dumps({"files": entries}))


def edit_config(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    seal(folder)


def edit_weights(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    seal(folder)


@contextmanager
def resource_use() -> Iterator[SimpleNamespace]:
    """Measure how much memory Python allocates at most; NumPy's arrays count, too."""
    used = SimpleNamespace(memory=0)
    tracemalloc.start()
    try:
        yield used
    finally:
        used.memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def refusal(folder: Path) -> ModelFolderError:
    with pytest.raises(ModelFolderError) as info:
        load(folder)
    assert info.value.exit_code == 4
    assert info.value.file is not None
    assert info.value.fix
    return info.value


FINGERPRINT = """
import hashlib
import torch

def fingerprint(flow, dtype):
    x = torch.linspace(-3, 3, 300, dtype=dtype).view(100, 3)
    context = torch.ones(1, dtype=dtype)
    values = (flow.log_prob(x, context), flow.sample(50, context, seed=7))
    return [hashlib.sha256(value.detach().numpy().tobytes()).hexdigest() for value in values]
"""


def test_fresh_process_gives_the_same_bits(tmp_path: Path):
    names: dict = {}
    exec(FINGERPRINT, names)
    expected = []
    for dtype in (torch.float32, torch.float64):
        flow = MAF(3, layers=3, hidden=(16,), context=1)
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        flow = flow.to(dtype)
        save(flow, tmp_path / str(dtype))
        expected += names["fingerprint"](flow, dtype)
    code = f"""{FINGERPRINT}
import logpx
for dtype in (torch.float32, torch.float64):
    print(*fingerprint(logpx.load({str(tmp_path)!r} + "/" + str(dtype)), dtype))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == expected


def test_state_dict_fits_a_freshly_built_object(folder: Path):
    model = load(folder)
    fresh = RealNVP(3, layers=2, hidden=(8,))
    fresh.load_state_dict(load_file(folder / "model.safetensors"))
    x = torch.rand(5, 3)
    assert torch.equal(model.log_prob(x), fresh.log_prob(x))


def test_details_are_the_documents(folder: Path):
    details = read_details(folder)
    assert details.metrics == {"seconds": 1.5}
    assert details.config["model"]["class"] == "RealNVP"
    assert details.config["logpx_version"] == logpx.__version__
    assert details.schema is None
    assert details.weights_bytes == (folder / "model.safetensors").stat().st_size


def test_card_may_be_edited_or_removed(folder: Path):
    (folder / "README.md").write_text("mine")
    load(folder)
    (folder / "README.md").unlink()
    load(folder)


def test_weights_do_not_follow_later_changes_of_the_file(folder: Path):
    model = load(folder)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = folder / "model.safetensors"
    path.write_bytes(bytes(path.stat().st_size))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "model.safetensors", "manifest.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "one bit"])
def test_damaged_file_is_named(folder: Path, name: str, damage: str):
    path = folder / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes({"empty": b"", "truncated": content[:middle], "one bit": flipped}[damage])
    for read in (load, read_details):
        with pytest.raises(ModelFolderError) as caught:
            read(folder)
        assert name == "manifest.json" or name in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "model.safetensors", "manifest.json"])
@pytest.mark.parametrize("make", [Path.mkdir, getattr(os, "mkfifo", Path.mkdir)], ids=["folder", "pipe"])
def test_what_is_no_file_is_named(folder: Path, name: str, make):
    (folder / name).unlink()
    make(folder / name)
    for read in (load, read_details):
        with pytest.raises(ModelFolderError, match="not a regular file") as caught:
            read(folder)
        assert caught.value.file == str(folder / name)


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "model.safetensors", "manifest.json"])
def test_fuzzed_file_gives_the_same_model_or_a_typed_error(folder: Path, name: str):
    model, metrics = load(folder).state_dict(), read_details(folder).metrics
    path = folder / name
    content = path.read_bytes()
    generator = random.Random(name)
    for _ in range(150):
        mutant = bytearray(content)
        for _ in range(generator.choice((1, 1, 1, 8))):
            mutant[generator.randrange(len(mutant))] = generator.randrange(256)
        cut = generator.choice((len(mutant), generator.randrange(len(mutant))))
        path.write_bytes(bytes(mutant[:cut]))
        try:
            copy, details = load(folder).state_dict(), read_details(folder)
        except ModelFolderError:
            continue
        assert details.metrics == metrics
        assert all(torch.equal(copy[key], value) for key, value in model.items())


def test_missing_folder(tmp_path: Path):
    assert "no such model folder" in str(refusal(tmp_path / "nothing"))


@pytest.mark.parametrize("make", ["folder", "file", "other config"])
def test_foreign_place(tmp_path: Path, make: str):
    place = tmp_path / "place"
    if make == "file":
        place.write_text("x")
    else:
        place.mkdir()
    if make == "other config":
        (place / "config.json").write_text('{"model_type": "bert"}')
    refusal(place)


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 10**30])
def test_newer_format_says_to_upgrade(folder: Path, version: int):
    edit_config(folder, format_version=version)
    error = refusal(folder)
    assert "newer" in error.message
    assert "upgrade" in error.fix


@pytest.mark.parametrize("version", range(1, FORMAT_VERSION))
def test_older_format_says_so_and_what_to_do(folder: Path, version: int):
    edit_config(folder, format_version=version, logpx_version="0.0.9")
    error = refusal(folder)
    assert f"format version {version}, older than the one that this logpx reads ({FORMAT_VERSION})" in str(
        error
    )
    assert "fit the model again, or load it with logpx 0.0.9" in error.fix


@pytest.mark.parametrize("version", [None, True, "1", 1.0, 0, -1])
def test_wrong_type_of_version(folder: Path, version):
    edit_config(folder, format_version=version)
    refusal(folder)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "does not describe a model"),
        ([], "does not describe a model"),
        ({}, "does not describe a model"),
        ({"class": "Popen", "args": "ls"}, "unknown class"),
        ({"class": "os.system"}, "unknown class"),
        ({"class": ["RealNVP"]}, "unknown class"),
        ({"class": "RealNVP"}, "RealNVP"),
        ({"class": "RealNVP", "features": "three"}, "RealNVP"),
        ({"class": "RealNVP", "features": 3, "layers": 0}, "RealNVP"),
        ({"class": "RealNVP", "features": 3, "colour": "red"}, "RealNVP"),
        ({"class": "ShiftFunction"}, "does not describe a model"),
        ({"class": "RealNVP", "features": 10**12}, "too large for weights"),
        ({"class": "RealNVP", "features": 3, "layers": 10_000}, "too large for weights"),
        ({"class": "RealNVP", "features": 3, "hidden": [10**9]}, "too large for weights"),
        ({"class": "RealNVP", "features": 3, "layers": 2, "hidden": [9]}, "shape"),
        ({"class": "RealNVP", "features": 3, "layers": 3, "hidden": [8]}, "is missing"),
        ({"class": "RealNVP", "features": 3, "layers": 1, "hidden": [8]}, "does not belong to the model"),
        ({"class": "NSF", "features": 3, "bound": 1e300}, "single precision does not hold"),
        ({"class": "TruncatedNormal", "event_shape": 3, "upper": 1e300}, "single precision does not hold"),
        (
            {"class": "FromTorch", "distribution": {**LAPLACE, "event_dims": "one"}},
            "'one' event dimensions",
        ),
    ],
)
def test_forged_description(folder: Path, model, message: str):
    edit_config(folder, model=model)
    assert message in refusal(folder).message


@pytest.mark.parametrize(
    "model",
    [
        {"class": "MADE", "features": 10_000, "parameters": 100, "hidden": [10_000] * 3},
        {"class": "MADE", "features": 2000, "parameters": 1, "hidden": [900]},
        {"class": "Glow", "event_shape": [3, 32, 32], "levels": 3, "steps": 10_000},
        {"class": "GaussianMixture", "features": 10_000, "components": 10_000},
        {"class": "Mixture", "components": [{"class": "RealNVP", "features": 3}] * 2000},
        {"class": "StandardNormal", "event_shape": [9999, 9999, 9999]},
    ],
    ids=lambda model: f"{model['class']} {len(str(model))}",
)
def test_costly_descriptions_are_given_up(folder: Path, model):
    edit_config(folder, model=model)
    with resource_use() as used:
        assert "too large" in refusal(folder).message
    assert used.memory < 100_000_000


@pytest.mark.parametrize(
    "model",
    [
        {"class": "Flow", "base": {"class": "Reverse", "features": 3}, "transform": {"class": "Chain"}},
        {"class": "Inverse", "transform": {"class": "StandardNormal", "features": 3}},
        {"class": "Mixture", "components": [{"class": "Reverse", "features": 3}]},
        {"class": "Coupling", "features": 3, "function": "shift"},
        {"class": "Coupling", "features": 3, "partition": {"class": "ShiftFunction"}},
    ],
    ids=str,
)
def test_parts_of_the_wrong_type_are_refused(folder: Path, model):
    edit_config(folder, model=model)
    assert "the configuration of" in refusal(folder).message


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("order", [0, 1, 3]),
        ("order", [0, -1, 2]),
        ("order", [0, 0, 2]),
        ("inverse_order", [0, 1, 2]),
        ("inverse_order", [9, 9, 9]),
    ],
)
def test_orders_that_are_none(tmp_path: Path, name: str, values: list[int]):
    folder = tmp_path / "model"
    save(Permutation(3, [2, 0, 1]), folder)
    edit_weights(folder, lambda weights: weights.update({name: torch.tensor(values)}))
    assert "out of range" in refusal(folder).message


def test_each_row_of_a_matrix_is_an_order(tmp_path: Path):
    folder = tmp_path / "model"
    model = OrderAgnostic([LabelColumn(2), LabelColumn(3)], width=4, blocks=1, orders=3)
    save(model, folder)
    assert torch.equal(load(folder).chains, model.chains)
    edit_weights(folder, lambda weights: weights.update({"chains": torch.tensor([[0, 1], [1, 0], [1, 1]])}))
    assert "out of range" in refusal(folder).message


def test_parameters_that_a_distribution_of_torch_refuses(tmp_path: Path):
    folder = tmp_path / "model"
    save(FromTorch(Independent(Laplace(torch.zeros(3), torch.ones(3)), 1)), folder)
    edit_weights(folder, lambda weights: weights.update(scale=torch.tensor([1.0, -1.0, 1.0])))
    assert "'scale' is out of range" in refusal(folder).message


def test_truth_values_that_are_neither(folder: Path):
    content = bytearray((folder / "model.safetensors").read_bytes())
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    name, entry = next((n, e) for n, e in header.items() if isinstance(e, dict) and e.get("dtype") == "BOOL")
    content[8 + int.from_bytes(content[:8], "little") + entry["data_offsets"][0]] = 7
    (folder / "model.safetensors").write_bytes(bytes(content))
    seal(folder)
    assert f"{name!r} is neither true nor false" in refusal(folder).message


def test_deep_nesting_is_refused(folder: Path):
    nested: list = []
    for _ in range(200):
        nested = [nested]
    edit_config(folder, model={"class": "RealNVP", "features": nested})
    assert "nested" in refusal(folder).message
    (folder / "config.json").write_text("[" * 100_000 + "]" * 100_000)
    refusal(folder)


@pytest.mark.parametrize(
    "text",
    [
        '{"format": NaN}',
        '{"format": 1, "format": 1}',
        "[]",
        "null",
        "\ufeff{}",
        "\x00",
        '{"format": "logpx model", "format_version": 2, "name": "\\uD800"}',
    ],
)
def test_loose_json_is_refused(folder: Path, text: str):
    (folder / "config.json").write_text(text, encoding="utf-8")
    assert refusal(folder).file.endswith("config.json")


@pytest.mark.parametrize(
    "content",
    [b"", b"1234567", struct.pack("<Q", 2**62), struct.pack("<Q", 2) + b"{]", struct.pack("<Q", 2) + b"{}"],
    ids=["empty", "short", "huge header", "bad json", "no tensors"],
)
def test_forged_weights_file(folder: Path, content: bytes):
    (folder / "model.safetensors").write_bytes(content)
    seal(folder)
    assert "model.safetensors" in refusal(folder).file or content.endswith(b"{}")


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("extra", torch.zeros(1), "does not belong to the model"),
        ("weight", torch.zeros(1), "shape"),
        ("weight", "int", "holds torch.int64"),
        ("weight", "nan", "not finite"),
        ("weight", "inf", "not finite"),
    ],
)
def test_forged_tensor(folder: Path, name: str, tensor, message: str):
    def change(weights: dict) -> None:
        key = next(key for key in weights if key.endswith("weight"))
        original = weights[key]
        values = {"int": original.long(), "nan": original / 0 * 0, "inf": original.abs().add(1) / 0}
        weights["extra" if name == "extra" else key] = values[tensor] if isinstance(tensor, str) else tensor

    edit_weights(folder, change)
    assert message in refusal(folder).message


@pytest.mark.parametrize(
    "files",
    [
        None,
        [],
        {"config.json": None},
        {"../config.json": {"bytes": 1}},
        {"config.json": {"bytes": "1", "sha256": 3}},
    ],
)
def test_forged_manifest(folder: Path, files):
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    refusal(folder)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("unusualness.ensemble.roots", lambda roots: roots * 0.0),
        ("unusualness.ensemble.roots", lambda roots: -roots),
        ("unusualness.ensemble.means", lambda means: means / 0.0),
        ("unusualness.ensemble.scales.spread", lambda spread: -spread),
        ("unusualness.coding.codes", lambda codes: codes + torch.inf),
        ("calibration.scores", lambda scores: scores.flip(0)),
        ("calibration.below", lambda below: below * 1e300),
        ("calibration.below", lambda below: below - 5.0),
        ("reference.marginals.0.values", lambda values: values.flip(0)),
        ("reference.marginals.0.upto", lambda upto: upto * 1e12),
    ],
)
def test_statistics_of_rows_that_no_rows_have(table_folder: Path, tmp_path: Path, name: str, changes):
    folder = Path(shutil.copytree(table_folder, tmp_path / "model"))
    edit_weights(folder, lambda weights: weights.update({name: changes(weights[name]).contiguous()}))
    with resource_use() as used:
        assert f"{name!r} is" in refusal(folder).message
    assert used.memory < 100_000_000


def test_parts_that_work_together_have_one_precision(folder: Path):
    def change(weights: dict) -> None:
        name = sorted(name for name in weights if name.endswith("weight"))[-1]
        weights[name] = weights[name].double()

    edit_weights(folder, change)
    assert "has another precision than" in refusal(folder).message


@pytest.mark.parametrize("name", ["own.origin", "own.near_widths", "joint.columns.0.widths"])
def test_widths_that_are_none(every_model, tmp_path: Path, name: str):
    folder = tmp_path / "model"
    save(every_model["TargetLast"](), folder)
    edit_weights(folder, lambda weights: weights.update({name: -weights[name]}))
    assert f"{name!r} is out of range" in refusal(folder).message


def test_degrees_of_freedom_that_torch_refuses(every_model, tmp_path: Path):
    folder = tmp_path / "model"
    save(every_model["a base of torch's"](), folder)
    edit_weights(folder, lambda weights: weights.update({"base.df": -weights["base.df"]}))
    assert "'base.df' is out of range" in refusal(folder).message


def test_schema_of_other_columns(table_folder: Path, tmp_path: Path):
    schema = json.loads((table_folder / "schema.json").read_text())
    for columns, message in (
        (schema["columns"][:1], "the schema models 1"),
        ([schema["columns"][0], {**schema["columns"][1], "step": 2.0}], "other labels or grids"),
    ):
        forged = Path(shutil.copytree(table_folder, tmp_path / message))
        (forged / "schema.json").write_text(json.dumps({**schema, "columns": columns}))
        seal(forged)
        assert message in refusal(forged).message


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("notes", 3),
        ("notes", ["fine", None]),
        ("chosen", "gmm"),
        ("chosen", {"validation": "high"}),
        ("verdict", []),
        ("candidates", [1]),
        ("training", [{"history": [3]}]),
        ("scales", [{"column": "a"}]),
        ("images", {"height": 3}),
        ("rows", 1.5),
        ("rows", -1),
        ("seed", 10**30),
        ("seconds", True),
        ("lineage", [{"rows": "many"}]),
    ],
)
def test_facts_about_a_fit_have_their_forms(folder: Path, tmp_path: Path, entry: str, value):
    (folder / "metrics.json").write_text(json.dumps({entry: value}))
    seal(folder)
    with pytest.raises(ModelFolderError, match=f"the entry '{entry}") as info:
        read_details(folder)
    assert info.value.file.endswith("metrics.json")
    # They are about the model, and no part of it.
    load(folder)
    with pytest.raises(UsageError, match=f"the entry '{entry}"):
        save(load(folder), tmp_path / "other", metrics={entry: value})


@pytest.mark.parametrize(
    ("entry", "value"), [("parameters", "7"), ("logpx_version", None), ("saved", 3), ("torch_version", [])]
)
def test_versions_and_size_have_their_forms(folder: Path, entry: str, value):
    edit_config(folder, **{entry: value})
    with pytest.raises(ModelFolderError, match=f"the entry '{entry}'") as info:
        read_details(folder)
    assert info.value.file.endswith("config.json")


@pytest.mark.parametrize("device", ["nowhere", "cuda:99", "meta:x", "meta", ""])
def test_unknown_device(folder: Path, device: str):
    with pytest.raises(UsageError, match="device"):
        load(folder, device=device)


def test_loading_on_the_accelerator_gives_the_same_model(folder: Path):
    if not torch.cuda.is_available():
        pytest.skip("no accelerator here")
    x = torch.rand(5, 3)
    there = load(folder, device="cuda")
    assert torch.allclose(there.log_prob(x.cuda()).cpu(), load(folder).log_prob(x), atol=1e-5)


@pytest.mark.parametrize("name", [pytest.param("mixture", marks=pytest.mark.slow), "autoregressive"])
def test_loading_does_not_load_the_compiler(name: str, tmp_path: Path):
    models = {"mixture": lambda: GaussianMixture(2, 3), "autoregressive": lambda: MAF(3)}
    save(models[name](), tmp_path / "model")
    code = (
        f"import sys, logpx; logpx.load({str(tmp_path / 'model')!r}); print('torch._dynamo' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
