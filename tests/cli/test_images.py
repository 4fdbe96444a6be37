"""The commands on images: fit, sample, score, evaluate, info, and every bad image."""

import json
import os
import signal
import struct
import time
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import logpx as package
from logpx.images import write_images


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits.npz (with labels), test.npz and folders of PNG files."""
    folder = tmp_path_factory.mktemp("images")
    digits = load_digits()
    x = (digits.images * (255 / 16)).round().astype(np.uint8)
    np.savez(folder / "digits.npz", images=x[:1500], labels=digits.target[:1500])
    np.savez(folder / "test.npz", images=x[1500:], labels=digits.target[1500:])
    (folder / "png").mkdir()
    for index, image in enumerate(x[1500:1510]):
        Image.fromarray(image).save(folder / f"png/{index}.png")
    return folder


@pytest.fixture(scope="module")
def model(fitted, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted(40, images / "digits.npz", tmp_path_factory.mktemp("images") / "model")


@pytest.mark.slow
def test_fit_as_a_process(process, images: Path, tmp_path: Path):
    folder = tmp_path / "model"
    ended = process("fit", images / "digits.npz", "-o", folder, "-m", "realnvp", "--time", "3s", "--json")
    assert ended.status == 0, ended.err
    document = ended.document
    assert document["kind"] == "lower bound"
    assert document["chosen"]["model"] == "realnvp"
    assert document["images"] == {"channels": 1, "height": 8, "width": 8, "levels": 256, "classes": None}
    assert (document["train_rows"], document["validation_rows"]) == (1350, 150)
    assert 2.0 < document["bits_per_dimension"] < 8.0
    assert "bits per dimension" in ended.err
    assert "lower bound" in ended.err
    assert package.load(folder).levels == 256
    card = (folder / "README.md").read_text()
    for text in ("images of 8×8 pixels", "bits per dimension", "samples.png", "lower bound of log p(x)"):
        assert text in card


def test_evaluate_beside_baselines(logpx, model: Path, images: Path):
    ended = logpx("evaluate", model, images / "test.npz")
    assert ended.status == 0, ended.err
    first, _, *rows = ended.out.splitlines()
    assert first == "297 images, bits per dimension, upper bound (mean ± standard error)"
    names = ["this model", "uniform", "independent pixels", "full-covariance Gaussian"]
    assert [row.split("  ")[0] for row in rows] == names
    document = logpx("evaluate", model, images / "test.npz", "--json").document
    assert document["unit"] == "bits per dimension"
    assert document["baselines"]["uniform"]["bits_per_dimension"] == pytest.approx(8.0, abs=1e-5)
    assert document["baselines"]["uniform"]["gain"] == pytest.approx(
        8.0 - document["bits_per_dimension"], abs=1e-5
    )
    assert document["mean"] == pytest.approx(-document["bits_per_dimension"] * 64 * np.log(2))


def test_score_names_file_and_image(logpx, model: Path, images: Path, tmp_path: Path):
    assert logpx("score", model, images / "png", "-o", tmp_path / "a.parquet", "--draws", 4).status == 0
    rows = pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pydict()
    assert [os.path.basename(file) for file in rows["file"]] == [f"{index}.png" for index in range(10)]
    assert rows["image"] == [1] * 10
    assert logpx("score", model, images / "test.npz", "-o", tmp_path / "b.csv", "--draws", 4).status == 0
    others = pyarrow.csv.read_csv(tmp_path / "b.csv").to_pydict()
    assert others["image"] == list(range(1, 298))
    # The same images with the same numbers, hence the same noise.
    assert rows["log_prob_lower"] == pytest.approx(others["log_prob_lower"][:10])
    bits = np.array(rows["log_prob_lower"]) / (-64 * np.log(2))
    assert rows["bits_per_dimension"] == pytest.approx(bits)
    assert all(error > 0 for error in rows["log_prob_se"])


def test_samples_are_a_grid(logpx, model: Path, tmp_path: Path):
    ended = logpx("sample", model, "-n", 10, "-o", tmp_path / "samples.png", "--seed", 3)
    assert ended.status == 0, ended.err
    logpx("sample", model, "-n", 10, "-o", tmp_path / "samples.npz", "--seed", 3)
    drawn = np.load(tmp_path / "samples.npz")["images"]
    assert drawn.shape == (10, 1, 8, 8)
    with Image.open(tmp_path / "samples.png") as image:
        grid = np.asarray(image)
    assert grid.shape == (3 * 9 + 1, 4 * 9 + 1)
    np.testing.assert_array_equal(grid[1:9, 1:9], drawn[0, 0])
    assert logpx("sample", model, "-n", 10, "-o", tmp_path / "samples.png").status == 2
    assert logpx("sample", model, "-n", 10).status == 2
    assert logpx("sample", model, "-n", 10, "--label", "3", "-o", tmp_path / "b.png").status == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples.npz", "samples.png"]


def test_info(logpx, model: Path):
    ended = logpx("info", model)
    assert ended.status == 0
    assert "bits/dim" in ended.out
    assert "8×8 pixels, 1 channel, 256 levels" in ended.out
    assert logpx("info", model, "--json").document["metrics"]["images"]["levels"] == 256


def test_classes(logpx, fitted, images: Path, tmp_path: Path):
    folder = fitted(20, images / "digits.npz", tmp_path / "model", "--conditional")
    document = logpx("sample", folder, "-n", 12, "-o", tmp_path / "a.npz", "--json").document
    assert document["labels"] == [*range(10), 0, 1]
    assert np.load(tmp_path / "a.npz")["labels"].tolist() == document["labels"]
    assert logpx("sample", folder, "-n", 4, "--label", "7", "-o", tmp_path / "b.png").status == 0
    ended = logpx("sample", folder, "-n", 4, "--label", "x", "-o", tmp_path / "c.png")
    assert ended.status == 2
    assert "0, 1, 2" in ended.err
    assert logpx("evaluate", folder, images / "test.npz").status == 0
    ended = logpx("evaluate", folder, images / "png")
    assert (ended.status, "labels" in ended.err) == (3, True)


@pytest.fixture(scope="module")
def vae(fitted, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "vae"
    return fitted(60, images / "digits.npz", folder, "--model", "vae", "--latent", 8, "--conditional")


def test_vae_end_to_end(logpx, vae: Path, images: Path, tmp_path: Path):
    ended = logpx("info", vae)
    assert "lower bound" in ended.out
    assert package.load(vae).flow.latent == 8
    document = logpx("evaluate", vae, images / "test.npz", "--json").document
    assert (document["kind"], document["draws"], document["exactness"]) == ("lower bound", None, None)
    assert 2.0 < document["bits_per_dimension"] < 8.0
    tighter = logpx("evaluate", vae, images / "test.npz", "--exactness", 100, "--json").document
    assert tighter["exactness"] == 100
    assert tighter["bits_per_dimension"] < document["bits_per_dimension"]
    output = tmp_path / "scores.csv"
    ended = logpx("score", vae, images / "test.npz", "-o", output, "--exactness", 100, "--json")
    assert ended.document["exactness"] == 100
    rows = pyarrow.csv.read_csv(output).to_pydict()
    assert np.mean(rows["bits_per_dimension"]) == pytest.approx(tighter["bits_per_dimension"])
    assert all(error > 0 for error in rows["log_prob_se"])
    assert logpx("sample", vae, "-n", 4, "--label", "7", "-o", tmp_path / "sevens.npz").status == 0
    assert np.load(tmp_path / "sevens.npz")["images"].shape == (4, 1, 8, 8)


def test_exactness_of_a_flow(logpx, model: Path, images: Path):
    words = ["evaluate", model, images / "test.npz", "--json"]
    average = logpx(*words, "--draws", 20).document
    weighted = logpx(*words, "--exactness", 20).document
    assert (average["draws"], average["exactness"]) == (20, None)
    assert (weighted["draws"], weighted["exactness"]) == (None, 20)
    assert weighted["bits_per_dimension"] < average["bits_per_dimension"]


def test_data_set_by_name(logpx, tmp_path: Path, model: Path):
    x = load_digits().images.astype(np.uint8)[:50]
    header = struct.pack(">4I", 0x803, 50, 8, 8)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(header + x.tobytes())
    ended = logpx("evaluate", model, "mnist:test", "--data", tmp_path, "--json")
    assert ended.status == 0, ended.err
    assert ended.document["rows"] == 50


def save_png(path: Path, shape: tuple[int, ...]) -> None:
    Image.fromarray(np.zeros(shape, np.uint8)).save(path)


def mixed_sizes(folder: Path) -> Path:
    save_png(folder / "a.png", (8, 8))
    save_png(folder / "b.png", (8, 10))
    return folder


def corrupt(folder: Path) -> Path:
    save_png(folder / "a.png", (8, 8))
    content = (folder / "a.png").read_bytes()
    (folder / "b.png").write_bytes(content[:40] + b"\0" * 20)
    return folder


def array(values: np.ndarray):
    def write(folder: Path) -> Path:
        np.save(folder / "a.npy", values)
        return folder / "a.npy"

    return write


def idx_cut_short(folder: Path) -> Path:
    (folder / "a-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, 5, 8, 8) + bytes(100))
    return folder / "a-idx3-ubyte"


BAD = {
    "mixed sizes": (mixed_sizes, ["a.png", "b.png", "8×10"]),
    "corrupt image": (corrupt, ["b.png"]),
    "unit floats": (array(np.random.default_rng(0).random((9, 8, 8))), ["255 * x"]),
    "more than 16 bits": (array(np.full((9, 8, 8), 99_999)), ["row 1", "99999", "0..65,535"]),
    "four channels": (array(np.zeros((9, 8, 8, 4), np.uint8)), ["1 or 3"]),
    "empty": (array(np.zeros((0, 8, 8), np.uint8)), ["no images"]),
    "one image": (array(np.zeros((1, 8, 8), np.uint8)), ["one image"]),
    "idx cut short": (idx_cut_short, ["320"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_images_stop_before_training(logpx, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("logpx.images.fitting.fit.fit", lambda *_, **__: pytest.fail("training began"))
    make, mentions = BAD[name]
    source = tmp_path / "source"
    source.mkdir()
    ended = logpx("fit", make(source), "-o", tmp_path / "model", "--time", "1h", "--json")
    assert ended.status == 3, ended.err
    assert "Traceback" not in ended.err
    assert "fix: " in ended.err
    assert ended.document["error"]["exit_code"] == 3
    assert [text for text in mentions if text not in ended.err] == []
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("command", ["evaluate", "score"])
def test_images_of_another_size(logpx, command: str, model: Path, tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros((5, 10, 8), np.uint8))
    ended = logpx(command, model, tmp_path / "a.npy")
    assert ended.status == 3
    assert "10×8 pixels with 1 channel, where the model has 8×8" in ended.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--model", "realnvpp"], "realnvp"),
        (["--model", "maf"], "realnvp"),
        (["--columns", "a=drop"], "--columns"),
        (["--schema", "x.json"], "--schema"),
        (["--dequantisation", "x"], "uniform"),
        (["--model", "vae", "--dequantisation", "uniform"], "leave dequantisation out"),
        (["--model", "vae", "--latent", "0"], "latent"),
        (["--model", "glow", "--latent", "8"], "latent"),
    ],
)
def test_options_that_do_not_fit(logpx, words: list[str], hint: str, images: Path, tmp_path: Path):
    ended = logpx("fit", images / "digits.npz", "-o", tmp_path / "model", *words)
    assert ended.status == 2
    assert hint in ended.err


@pytest.mark.parametrize("words", [["--conditional"], ["--data", "."], ["--dequantisation", "uniform"]])
def test_options_of_images_do_not_fit_tables(logpx, words: list[str], tables: Path, tmp_path: Path):
    ended = logpx("fit", tables / "train.csv", "-o", tmp_path / "model", *words)
    assert ended.status == 2
    assert words[0] in ended.err


def test_output_must_not_be_the_input(logpx, model: Path, tmp_path: Path):
    write_images(package.load(model).sample(5, seed=0), tmp_path / "a.npz")
    os.link(tmp_path / "a.npz", tmp_path / "b.csv")
    assert logpx("score", model, tmp_path / "a.npz", "-o", tmp_path / "b.csv", "--overwrite").status == 2
    assert np.load(tmp_path / "b.csv")["images"].shape == (5, 1, 8, 8)


@pytest.mark.slow
def test_interrupt_keeps_the_best_model_so_far(started, images: Path, tmp_path: Path):
    folder = tmp_path / "model"
    running = started("fit", images / "digits.npz", "-o", folder, "--time", "10m")
    said = ""
    while "to stop by" not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    said += running.stderr.read()
    assert running.wait(60) == 130, said
    if folder.exists():
        assert "the best model so far was saved" in said
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["stopped"] == "requested"
        assert package.load(folder).sample(2, seed=0).shape == (2, 1, 8, 8)
    assert [path.name for path in tmp_path.iterdir() if path.name != "model"] == [".model.run"]


def test_levels_can_be_said(process, images: Path, tmp_path: Path):
    words = ["-o", tmp_path / "model", "--time", "1s", "--levels"]
    ended = process("fit", images / "digits.npz", *words, "17")
    assert ended.status == 3
    assert "17 levels" in ended.err
    assert not (tmp_path / "model").exists()
    assert process("fit", images / "digits.npz", *words, "257").status == 2


def test_parameters_are_those_of_the_model_alone(model: Path):
    loaded = package.load(model)
    config = json.loads((model / "config.json").read_text())
    own = [loaded.flow, loaded.dequantisation, loaded.preprocessing]
    assert config["parameters"] == sum(p.numel() for part in own for p in part.parameters())


def test_a_misspelt_data_set_is_recognised(process, tmp_path: Path):
    ended = process("fit", "minst", "-o", tmp_path / "model")
    assert ended.status == 2
    assert "did you mean 'mnist'?" in ended.err
