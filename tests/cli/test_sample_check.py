"""``logpx sample --check``: how near new rows are to the training rows, on stderr and in JSON."""

from pathlib import Path


def test_the_numbers_are_said(logpx, tables: Path, exact: Path, tmp_path: Path):
    words = ("sample", exact, "-n", "200", "-o", tmp_path / "s.csv", "--check", tables / "train.csv")
    ended = logpx(*words)
    assert ended.status == 0, ended.err
    assert "exact copies of training rows: 0.0% of 200 synthetic rows" in ended.err
    assert "not a promise of privacy" in ended.err
    found = logpx(*words, "--overwrite", "--json").document["check"]
    assert (found["rows"], found["train_rows"], found["copies"]) == (200, 400, 0.0)
    assert 0.3 < found["membership"] < 0.7


def test_mistakes(logpx, tables: Path, exact: Path, tmp_path: Path):
    ended = logpx("sample", exact, "-n", "9", "--check", tables / "train.csv", "--given", "a=1")
    assert ended.status == 2
    assert "--check and --given" in ended.err
    ended = logpx(
        "sample", exact, "-n", "9", "-o", tables / "train.csv", "--check", tables / "train.csv", "--overwrite"
    )
    assert ended.status == 2
    assert "the output is one of the files" in ended.err
    assert logpx("sample", exact, "-n", "9", "--check", tmp_path / "none.csv").status == 2
