"""A report says what was fitted and how good it is, in one file that loads and runs nothing foreign."""

import csv
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import logpx
from logpx.cli import main
from logpx.errors import DataError, ModelFolderError, UsageError
from logpx.images import fit_images
from logpx.report import model_report, render, write_report
from logpx.tables import TableModel

from .conftest import HOSTILE, rows


class Page(HTMLParser):
    """Tags, what would be fetched, and running text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in {"src", "href", "xlink:href", "srcset", "action"} and not value.startswith("#"):
                self.fetched.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def report(folder):
    return model_report(folder / "model", str(folder / "new.csv"))


@pytest.fixture(scope="module")
def page(report) -> str:
    return render(report)


def test_page_is_whole_and_loads_nothing(page):
    found = Page(page)
    assert [url for url in found.fetched if not url.startswith("data:image/png")] == []
    assert not re.search(r"url\((?!#)", page)
    assert "default-src 'none'" in page
    assert len(page.encode()) < 5_000_000
    assert len(found.ids) == len(set(found.ids))


def test_names_and_labels_of_the_table_are_escaped(page):
    found = Page(page)
    assert found.tags.count("script") == 1
    assert found.handlers == []
    # Figures name them in their texts.
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 3
    assert HOSTILE not in page
    assert "<img" not in page
    assert "$price$" in found.text


def test_verdict_comes_first_and_rests_on_baselines(report, page, folder):
    assert report.verdict.level in {"good", "caution"}
    assert "300 new rows" in report.verdict.sentence
    assert page.index(f"Verdict: {report.verdict.level}") < page.index("What was fitted")
    evaluation = logpx.load(folder / "model").evaluate(str(folder / "new.csv"))
    assert (
        f"{evaluation.mean:.3f}" in report.verdict.sentence
        or f"{evaluation.mean:.2f}" in report.verdict.sentence
    )


def test_sections_are_there(report):
    keys = [section.key for section in report.sections]
    assert keys == [
        "fitted",
        "quality",
        "columns",
        "samples",
        "missing",
        "structure",
        "anomalies",
        "limits",
        "use",
    ]
    titles = {figure.title for section in report.sections for figure in section.figures}
    assert {"Log p of groups of rows", "Each column", "Pairs of columns", "Correlations"} <= titles
    assert {"Missing cells", "Cells that are filled in", "Clusters", "Models that were tried"} <= titles
    assert "What makes them unusual" in titles


def anomalies_of(report) -> list[list[str]]:
    """Return the head and the rows of the table of anomalies."""
    (section,) = (section for section in report.sections if section.key == "anomalies")
    (table,) = section.grids
    return [list(table.columns), *map(list, table.rows)]


@pytest.mark.parametrize("data", ["new.csv", None])
@pytest.mark.usefixtures("undrawn")
def test_anomalies_are_those_of_the_command(folder, tmp_path, data):
    found = tmp_path / "found.csv"
    source = folder / (data or "table.csv")
    assert main(["anomalies", str(folder / "model"), str(source), "-o", str(found), "--top", "20", "-q"]) == 0
    with found.open(newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    report = model_report(folder / "model", None if data is None else str(source))
    head, *listed = anomalies_of(report)
    assert head == ["row", "p-value", "score", "log p (lower bound)", "reasons"]
    assert [row[0] for row in listed] == [one["row"] for one in written]
    assert [row[4] for row in listed] == [one["reasons"] for one in written]
    for place, name, digits in ((1, "p_value", 2), (2, "score", 4), (3, "log_prob_lower", 4)):
        assert [row[place] for row in listed] == [f"{float(one[name]):.{digits}g}" for one in written]


@pytest.mark.usefixtures("undrawn")
def test_the_report_says_how_many_rows_the_command_selects(folder, tmp_path):
    strange = rows(300, 3).to_pandas()
    strange.loc[:39, HOSTILE] += 6.0
    strange.to_csv(tmp_path / "strange.csv", index=False)
    report = model_report(folder / "model", str(tmp_path / "strange.csv"))
    (section,) = (section for section in report.sections if section.key == "anomalies")
    selection = logpx.anomalies(str(folder / "model"), str(tmp_path / "strange.csv")).selection
    assert re.match(r"[3-9]\d of 300 rows", selection)
    assert selection in " ".join(section.text)


@pytest.mark.usefixtures("undrawn")
def test_what_takes_too_long_is_left_to_the_command(folder, monkeypatch):
    monkeypatch.setattr("logpx.report.unusual_rows._MOST_COLUMNS", 2)
    report = model_report(folder / "model", str(folder / "new.csv"))
    head, *listed = anomalies_of(report)
    assert (head[-1], len(listed)) == ("log p (lower bound)", 20)
    monkeypatch.setattr("logpx.report.unusual_rows._MOST_ROWS", 299)
    report = model_report(folder / "model", str(folder / "new.csv"))
    (section,) = (section for section in report.sections if section.key == "anomalies")
    assert section.grids == ()
    assert section.text == ["The table has 300 rows: logpx anomalies finds the unusual ones among so many."]


@pytest.mark.usefixtures("undrawn")
def test_without_rows_set_aside_anomalies_are_ordered_by_log_p(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 2))
    np.savetxt(tmp_path / "t.csv", x, delimiter=",", header="a,b", comments="")
    result = logpx.fit("gaussian", str(tmp_path / "t.csv"))
    model = TableModel(result.model.schema, result.model.density).eval()
    logpx.save(model, tmp_path / "m", metrics={"source": str(tmp_path / "t.csv"), **result.to_dict()})
    head, *listed = anomalies_of(model_report(tmp_path / "m"))
    assert head == ["row", "p-value", "log p", "reasons"]
    assert {row[1] for row in listed} == {"–"}
    assert [int(row[0]) - 1 for row in listed] == model.log_prob(x).argsort()[:20].tolist()


@pytest.mark.usefixtures("undrawn")
def test_rows_of_the_fit_are_divided_as_they_were(folder):
    report = model_report(folder / "model")
    # A mixture is fitted to these rows as well in the end: their likelihood is that of the time before.
    chosen = logpx.storage.read_details(folder / "model").metrics["chosen"]
    assert "rows set aside to choose by, before the model was fitted to them" in report.verdict.sentence
    assert f"{chosen['validation']:.2f}" in report.verdict.sentence
    assert report.notes == [f"compared with {folder / 'table.csv'}, which the model was fitted to"]


@pytest.mark.usefixtures("undrawn")
def test_another_table_in_the_place_of_the_source_is_not_taken_for_it(folder, tmp_path):
    model = logpx.load(folder / "model")
    other = tmp_path / "other.csv"
    other.write_text((folder / "new.csv").read_text())
    details = logpx.storage.read_details(folder / "model")
    logpx.save(model, tmp_path / "m", metrics=details.metrics | {"source": str(other)})
    report = model_report(tmp_path / "m")
    assert report.verdict.level == "unknown"
    assert "give rows with --data" in report.notes[0]


@pytest.mark.usefixtures("undrawn")
def test_rows_of_another_kind_are_noticed(folder, tmp_path):
    model = logpx.load(folder / "model")
    shifted = rows(300, 2).to_pandas()
    shifted[HOSTILE] += 3.0
    shifted.to_csv(tmp_path / "shifted.csv", index=False)
    report = model_report(folder / "model", str(tmp_path / "shifted.csv"))
    assert report.verdict.level != "good"
    assert any(HOSTILE in reason for reason in report.verdict.reasons)
    assert model.log_prob(str(tmp_path / "shifted.csv")).mean() < model.log_prob(rows(300, 2)).mean()


@pytest.mark.slow
def test_same_report_twice(folder, page):
    assert render(model_report(folder / "model", str(folder / "new.csv"))) == page


@pytest.mark.usefixtures("undrawn")
def test_files_are_protected_and_wrong_data_named(folder, tmp_path):
    output = tmp_path / "report.html"
    write_report(folder / "model", output)
    with pytest.raises(UsageError, match="exists already"):
        write_report(folder / "model", output)
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="column"):
        write_report(folder / "model", output, str(tmp_path / "wrong.csv"), overwrite=True)
    logpx.save(logpx.flows.NICE(2), tmp_path / "flow")
    with pytest.raises(ModelFolderError, match="not a model of a table"):
        write_report(tmp_path / "flow", tmp_path / "other.html")


def test_flow_shows_its_training_and_ppca_its_latent_space(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 1)) * [1.0, 2.0, -1.0] + 0.3 * rng.normal(size=(300, 3))
    table = dict(zip("abc", x.T, strict=True))
    for name, title in (("nice", "Training of nice"), ("ppca", "Latent space")):
        options = {"latent": 2} if name == "ppca" else {}
        result = logpx.fit(name, table, max_time=1, **options)
        logpx.save(result.model, tmp_path / name, metrics=result.to_dict())
        report = model_report(tmp_path / name)
        titles = {figure.title for section in report.sections for figure in section.figures}
        assert title in titles
        assert report.verdict.level == "unknown"


@pytest.mark.usefixtures("undrawn")
def test_the_command_that_fits_images_again_has_their_options(tmp_path):
    images = torch.randint(0, 4, (40, 1, 4, 4), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    np.savez(tmp_path / "images.npz", images=images.numpy(), labels=np.arange(40) % 2)
    source = str(tmp_path / "images.npz")
    options = {"realnvp": {"conditional": True, "dequantisation": "variational"}, "vae": {"latent": 3}}
    expected = {"realnvp": "--conditional --dequantisation variational", "vae": "--latent 3 --time 7s"}
    for family, given in options.items():
        result = fit_images(source, family, max_steps=1, **given)
        metrics = {"source": source, **result.to_dict()}
        if family == "vae":
            metrics |= {"ended": "time", "seconds": 6.4}
        logpx.save(result.model, tmp_path / family, metrics=metrics)
        (use,) = [one for one in model_report(tmp_path / family).sections if one.key == "use"]
        assert f"-o {family} --model {family} {expected[family]} --seed 0" in use.code[1]


def test_images_are_reported(tmp_path):
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(120, 1, 4, 4, generator=generator).cumsum(-1) * 3).to(torch.uint8)
    np.savez(tmp_path / "images.npz", images=images.numpy())
    result = logpx.fit("realnvp", str(tmp_path / "images.npz"), max_steps=2)
    metrics = {"source": str(tmp_path / "images.npz"), **result.to_dict()}
    logpx.save(result.model, tmp_path / "m", metrics=metrics)
    report = model_report(tmp_path / "m")
    titles = {figure.title for section in report.sections for figure in section.figures}
    assert {"Samples", "Nearest training images", "Training of realnvp", "What images cost"} <= titles
    assert "bits per dimension" in report.verdict.sentence
    fresh = model_report(tmp_path / "m", str(tmp_path / "images.npz"))
    assert "120 new images" in fresh.verdict.sentence
    assert Page(render(fresh)).fetched != []


@pytest.mark.usefixtures("undrawn")
def test_rows_set_aside_are_compared_where_the_model_has_not_seen_them(tmp_path):
    x = np.random.default_rng(0).normal(size=(300, 2))
    np.savetxt(tmp_path / "t.csv", x, delimiter=",", header="a,b", comments="")
    verdicts = {}
    for name in ("nice", "gaussian"):
        result = logpx.fit(name, str(tmp_path / "t.csv"), max_time=1)
        metrics = {"source": str(tmp_path / "t.csv"), **result.to_dict()}
        logpx.save(result.model, tmp_path / name, metrics=metrics)
        verdicts[name] = model_report(tmp_path / name).verdict.sentence
    assert "before the model was fitted" in verdicts["gaussian"]
    assert "before the model was fitted" not in verdicts["nice"]
    assert "75 rows set aside: " in verdicts["nice"]
