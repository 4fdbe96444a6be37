"""Saving refuses what could not be loaded, and never replaces what is not a model."""

import json
import math
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from logpx.distributions import Flow, StandardNormal
from logpx.errors import DivergedError, ResourceError, UsageError
from logpx.files import folders as filesystem
from logpx.flows import NICE, RealNVP
from logpx.storage import FORMAT_VERSION, check_target, load, save
from logpx.tables.columns.column_scales import ColumnScales
from logpx.tables.columns.support import Support
from logpx.tables.scales import Standard
from logpx.transforms import Affine, Chain, Coupling, Transform


def test_folder_holds_the_documented_files(tmp_path: Path):
    save(NICE(2), tmp_path / "model")
    names = {"config.json", "metrics.json", "model.safetensors", "README.md", "manifest.json"}
    assert {path.name for path in (tmp_path / "model").iterdir()} == names
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["format_version"] == FORMAT_VERSION
    assert config["model"]["features"] == 2


def test_parents_are_created(tmp_path: Path):
    save(NICE(2), tmp_path / "a/b/model")
    assert load(tmp_path / "a/b/model").event_shape == (2,)


def test_empty_folder_may_be_used(tmp_path: Path):
    (tmp_path / "model").mkdir()
    save(NICE(2), tmp_path / "model")
    load(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_relative_path_with_trailing_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    save(NICE(2), "model/")
    load("model/")


def test_name_with_special_characters(tmp_path: Path):
    folder = tmp_path / "a [1]*? ünï"
    save(NICE(2), folder)
    save(NICE(2), folder, overwrite=True)
    load(folder)


def test_existing_model_needs_overwrite(tmp_path: Path):
    folder = tmp_path / "model"
    save(NICE(2), folder)
    with pytest.raises(UsageError, match="--overwrite"):
        save(NICE(3), folder)
    assert load(folder).event_shape == (2,)
    save(NICE(3), folder, overwrite=True)
    assert load(folder).event_shape == (3,)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("version", [FORMAT_VERSION - 1, FORMAT_VERSION + 1])
def test_a_model_of_another_format_version_is_a_model(tmp_path: Path, version: int):
    folder = tmp_path / "model"
    save(NICE(2), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "format_version": version}))
    with pytest.raises(UsageError, match="already holds a model"):
        save(NICE(3), folder)
    save(NICE(3), folder, overwrite=True)
    assert load(folder).event_shape == (3,)


@pytest.mark.parametrize("content", ["thesis", '{"format": "other"}', ""])
def test_foreign_folder_is_never_replaced(tmp_path: Path, content: str):
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "config.json").write_text(content)
    with pytest.raises(UsageError, match="not a logpx model"):
        save(NICE(2), folder, overwrite=True)
    assert (folder / "config.json").read_text() == content


def test_other_files_in_a_model_folder_are_not_lost(tmp_path: Path):
    save(NICE(2), tmp_path / "model")
    (tmp_path / "model/scores.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"scores\.csv"):
        save(NICE(2), tmp_path / "model", overwrite=True)
    assert (tmp_path / "model/scores.csv").read_text() == "mine"


def test_file_is_not_replaced(tmp_path: Path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(UsageError, match="a file is here"):
        save(NICE(2), tmp_path / "model", overwrite=True)


def test_link_to_a_model_replaces_what_it_points_at(tmp_path: Path):
    save(NICE(2), tmp_path / "model")
    (tmp_path / "latest").symlink_to(tmp_path / "model")
    save(NICE(3), tmp_path / "latest", overwrite=True)
    assert (tmp_path / "latest").is_symlink()
    assert load(tmp_path / "model").event_shape == (3,)


def test_place_below_a_file(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResourceError):
        check_target(tmp_path / "file/model")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_place_without_permission(tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ResourceError, match="not permitted"):
        save(NICE(2), tmp_path / "locked/model")


def test_name_too_long_for_the_disk(tmp_path: Path):
    with pytest.raises(ResourceError):
        save(NICE(2), tmp_path / ("m" * 300))


class Doubling(Transform):
    def __init__(self) -> None:
        super().__init__(2)


class Shadow(RealNVP):
    pass


Shadow.__name__ = "RealNVP"


@pytest.mark.parametrize(
    "model",
    [
        Flow(StandardNormal(2), Doubling()),
        Flow(StandardNormal(3), Coupling(3, net=nn.Linear(1, 4))),
        Shadow(2),
        nn.Linear(2, 2),
    ],
    ids=["own transform", "own net", "own class of a known name", "no logpx model"],
)
def test_parts_of_ones_own_are_refused(tmp_path: Path, model: nn.Module):
    with pytest.raises(UsageError) as info:
        save(model, tmp_path / "model")
    assert info.value.fix
    assert list(tmp_path.iterdir()) == []


def test_model_that_was_changed_after_it_was_built(tmp_path: Path):
    flow = Flow(StandardNormal(2), Affine(2))
    flow.transform.register_buffer("more", torch.zeros(3))
    with pytest.raises(UsageError, match="other weights"):
        save(flow, tmp_path / "model")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float):
    flow = NICE(2)
    with torch.no_grad():
        next(flow.parameters()).fill_(value)
    with pytest.raises(DivergedError, match="not finite"):
        save(flow, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_json_and_not_finite_ones_null(tmp_path: Path):
    metrics = {"a": [1, 2.5, float("nan")], "b": {"c": torch.tensor(3.0)}, "d": None, "e": "text", "f": True}
    save(NICE(2), tmp_path / "model", metrics=metrics)
    read = json.loads((tmp_path / "model/metrics.json").read_text())
    assert read == {"a": [1, 2.5, None], "b": {"c": 3.0}, "d": None, "e": "text", "f": True}
    with pytest.raises(UsageError, match="JSON"):
        save(NICE(2), tmp_path / "other", metrics={"a": object()})


def test_arguments_that_json_lacks(tmp_path: Path):
    columns = ColumnScales([Standard.fit(torch.tensor([0.0, 1.0]))], [Support()], [{"Standard": -math.inf}])
    save(columns, tmp_path / "model")
    assert load(tmp_path / "model").held_out == [{"Standard": -math.inf}]
    json.loads((tmp_path / "model/config.json").read_text(), parse_constant=pytest.fail)


def test_module_used_twice(tmp_path: Path):
    part = Affine(2)
    flow = Flow(StandardNormal(2), Chain([part, Coupling(2), part]))
    save(flow, tmp_path / "model")
    x = torch.rand(3, 2)
    assert torch.equal(load(tmp_path / "model").log_prob(x), flow.log_prob(x))


def test_views_and_shared_weights_are_saved(tmp_path: Path):
    flow = Flow(StandardNormal(2), Affine(2))
    whole = torch.arange(4.0)
    for name, part in zip(
        list(dict(flow.transform.named_parameters())), (whole[::2], whole[::2]), strict=False
    ):
        setattr(flow.transform, name, nn.Parameter(part))
    save(flow, tmp_path / "model")
    x = torch.rand(3, 2)
    assert torch.equal(load(tmp_path / "model").log_prob(x), flow.log_prob(x))


def test_of_two_saves_at_once_the_first_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "model"
    write = filesystem._write_folder

    def write_late(files, temporary):
        write(files, temporary)
        monkeypatch.setattr(filesystem, "_write_folder", write)
        save(NICE(2), folder)

    monkeypatch.setattr(filesystem, "_write_folder", write_late)
    with pytest.raises(UsageError, match="in the meantime") as caught:
        save(NICE(3), folder)
    assert "--overwrite" in caught.value.fix
    assert load(folder).event_shape == (2,)
    assert os.listdir(tmp_path) == ["model"]
