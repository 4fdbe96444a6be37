"""The MLflow flavour, with a folder for runs in place of a server."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch

import logpx
import logpx.mlflow
from logpx.errors import MissingExtraError, UsageError

Folders = Callable[[str], Path]
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    missing = "mlflow is not installed: make test-engines"
    package = pytest.importorskip("mlflow", reason=missing, exc_type=ImportError)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    package.set_tracking_uri((tmp_path / "runs").as_uri())
    return package


@pytest.mark.parametrize("kind", ["smooth", "gaussian"])
def test_predict_is_score_batches(mlflow, folders: Folders, table: pa.Table, kind: str):
    rows = table.select(["a", "b"]) if kind == "smooth" else table.drop_columns("id")
    with mlflow.start_run():
        info = logpx.mlflow.log_model(folders(kind), name="density", draws=3, seed=2)
    predicted = mlflow.pyfunc.load_model(info.model_uri).predict(rows.to_pandas())
    expected = logpx.score_batches(folders(kind), draws=3, seed=2)(rows).to_pandas()
    assert list(predicted.columns) == expected.columns.tolist()
    for name in predicted.columns:
        assert predicted[name].to_numpy() == pytest.approx(expected[name].to_numpy(), abs=1e-9)
    assert [column.name for column in info.signature.inputs] == rows.column_names
    assert [column.name for column in info.signature.outputs] == list(predicted.columns)
    model = logpx.mlflow.load_model(info.model_uri)
    for name, value in logpx.load(folders(kind)).state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_as_on_the_page(mlflow, recipe):
    found = recipe("MLflow")
    recipe.check(pa.Table.from_pandas(found["scored"]))
    assert found["model"].sample(3, seed=0).num_rows == 3


def test_a_saved_model_is_the_folder(mlflow, folders: Folders, tmp_path: Path):
    logpx.mlflow.save_model(folders("smooth"), tmp_path / "saved")
    for file in folders("smooth").iterdir():
        assert (tmp_path / "saved/model" / file.name).read_bytes() == file.read_bytes()
    assert "python_function" in (tmp_path / "saved/MLmodel").read_text()
    assert not list((tmp_path / "saved").rglob("*.pkl"))
    with pytest.raises(UsageError, match="the folder exists"):
        logpx.mlflow.save_model(folders("smooth"), tmp_path / "saved")


def test_missing_mlflow_is_said(folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"logpx\[mlflow\]"):
        logpx.mlflow.save_model(folders("smooth"), tmp_path / "saved")
