"""What results and models print is short; what they show in notebooks is escaped and tells the same."""

import inspect
import math
from dataclasses import is_dataclass
from enum import Enum

import numpy as np
import pytest
import torch

import logpx
from logpx import flows, latent, transforms
from logpx.distributions import Flow, StandardNormal
from logpx.posteriors import posterior

HOSTILE = "<script>alert(1)</script>"


def normal(x: torch.Tensor) -> torch.Tensor:
    """Log density without its constant."""
    return -0.5 * x.square().sum(-1)


@pytest.fixture(scope="module")
def fitted() -> dict:
    rng = np.random.default_rng(0)
    table = {HOSTILE: rng.normal(size=200), **{f"column {i}": rng.normal(size=200) for i in range(9)}}
    result = logpx.fit("gaussian", table, max_time=1)
    images = torch.randint(0, 4, (40, 1, 2, 2), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    fit_of_images = logpx.fit("realnvp", images.numpy(), max_steps=1)
    flow = logpx.fit(flows.NICE(2, layers=2, hidden=(8,)), torch.randn(60, 2), max_epochs=1)
    found = posterior(normal, dim=2, method="laplace")
    return {
        "table": result,
        "table model": result.model,
        "evaluation": result.model.evaluate(table),
        "images": fit_of_images,
        "image model": fit_of_images.model,
        "fit": flow,
        "flow": flow.model,
        "mixture": latent.GaussianMixture(3, 2),
        "posterior": found,
        "summary": found.summary(),
    }


KINDS = (
    "table",
    "table model",
    "evaluation",
    "images",
    "image model",
    "fit",
    "flow",
    "mixture",
    "posterior",
    "summary",
)


@pytest.mark.parametrize("kind", KINDS)
def test_representations_are_at_most_six_lines(fitted, kind: str):
    lines = repr(fitted[kind]).splitlines()
    assert 1 <= len(lines) <= 6
    assert sum(map(len, lines)) < 900


@pytest.mark.parametrize("kind", KINDS)
def test_notebooks_show_escaped_html(fitted, kind: str):
    html = fitted[kind]._repr_html_()
    assert html.startswith("<div")
    assert html.count("<div") == html.count("</div>")
    assert "<script" not in html


def test_results_name_the_model_and_its_likelihood(fitted):
    text = repr(fitted["table"])
    assert "gaussian" in text
    assert f"{fitted['table'].chosen.validation:.3f}" in text
    assert "bits per dimension" in repr(fitted["images"])
    assert f"{fitted['evaluation'].value:.3f}" in repr(fitted["evaluation"])
    assert "&lt;script&gt;" in fitted["table model"]._repr_html_()
    assert "10 in all" in repr(fitted["table model"])


def test_models_print_the_call_that_builds_them():
    assert repr(flows.RealNVP(2)) == "RealNVP(features=2)"
    model = flows.NSF(3, layers=2, hidden=(8, 8))
    names = {"NSF": flows.NSF}
    assert repr(eval(repr(model), names)) == repr(model)
    flow = Flow(StandardNormal(2), transforms.Reverse(2))
    assert repr(flow) == "Flow(base=StandardNormal(event_shape=2), transform=Reverse(features=2))"
    long = transforms.Chain([transforms.Reverse(3)] * 50)
    assert "50 in all" in repr(long)
    assert len(repr(transforms.Chain([long] * 4))) <= 400


def test_many_notes_are_counted(fitted):
    from dataclasses import replace

    text = repr(replace(fitted["table"], notes=[f"note {i}" + "x" * 500 for i in range(20)]))
    assert len(text.splitlines()) == 6
    assert text.splitlines()[-1].strip() == "and 17 more notes"
    assert math.isfinite(len(text))


def public_classes() -> list[type]:
    """Return the classes in the rooms' lists of names that have instances to look at."""
    rooms = [getattr(logpx, name) for name in logpx.__all__]
    named = [getattr(room, name) for room in rooms for name in getattr(room, "__all__", [])]
    found = dict.fromkeys(one for one in named if inspect.isclass(one))
    plain = (BaseException, Enum, torch.distributions.Distribution, torch.distributions.Transform, dict)
    return [
        one
        for one in found
        if not issubclass(one, plain) and not inspect.isabstract(one) and not getattr(one, "_is_protocol", 0)
    ]


# Work that goes on, not an answer: tallies, writers, searches, procedures.
WORK = {
    *("AnomalySearch", "EmpiricalNull", "Explainer", "OwnRowsSearch"),
    *("ClosedForm", "Family", "GradientDescent", "LogOfMean", "MeanOfLogs", "Single", "VisibleColumns"),
    *("RankTests", "RowsByContent", "RunningMean", "ScoreTotals", "Stopwatch", "Tally", "WeightedMean"),
    *("FactorisedJoint", "Matrices", "Parameters", "Server", "TableWriter", "UnseenLabels"),
}


def test_every_public_class_is_shown_in_notebooks_and_none_prints_arrays_by_dataclass():
    classes = public_classes()
    assert len(classes) > 200
    assert {one.__name__ for one in classes if not hasattr(one, "_repr_html_")} == WORK
    generated = [
        one.__name__
        for one in classes
        if is_dataclass(one) and hasattr(one.__repr__, "__wrapped__")  # As dataclass makes them.
    ]
    assert generated == []


@pytest.fixture(scope="module")
def answers(fitted) -> dict:
    rng = np.random.default_rng(1)
    columns = {f"column {i}": rng.normal(size=300) for i in range(120)}
    table = logpx.tables.open_table(columns)
    model, mixture = fitted["table model"], fitted["mixture"]
    rows = {name: rng.normal(size=200) for name in model.schema.modelled_names}
    draws = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inspection = logpx.tables.inspect_table(table)
    other = posterior(lambda x: normal(x / 2), dim=2, method="laplace")
    return {
        "bayes factor": logpx.posteriors.compare(fitted["posterior"], other),
        "check": transforms.check(transforms.Reverse(2)),
        "bound": fitted["flow"].log_prob_lower(torch.zeros(999, 2)),
        "column": inspection.schema.columns[0],
        "conditional": model.conditional("column 1"),
        "conditioned": model.condition({HOSTILE: 0.5}),
        "comparison": logpx.compare({"one": model, "other": model}, rows),
        "diagnosis": fitted["posterior"].diagnosis,
        "drift": logpx.drift(model, rows),
        "evidence": logpx.evidence(mixture, torch.randn(999, 2), "exact"),
        "evidence from draws": logpx.evidence_from_draws(normal, draws),
        "anomalies": logpx.anomalies(model, rows, top=3),
        "images": logpx.images.open_images(np.zeros((20, 4, 4), np.uint8), levels=256),
        "inspection": inspection,
        "matrix": transforms.PLUMatrix(3),
        "method": logpx.posteriors.Laplace(),
        "schema": inspection.schema,
        "statistics": mixture.statistics(torch.randn(50, 2)),
        "table": table,
    }


ANSWERS = (
    *(
        "bayes factor",
        "bound",
        "check",
        "column",
        "conditional",
        "conditioned",
        "comparison",
        "diagnosis",
        "drift",
    ),
    *("evidence", "evidence from draws", "anomalies", "images", "inspection", "matrix", "method", "schema"),
    *("statistics", "table"),
)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_short_and_escaped(answers, name: str):
    shown, html = repr(answers[name]), answers[name]._repr_html_()
    assert len(shown.splitlines()) <= 6
    assert len(shown) < 900
    assert shown.startswith(f"{type(answers[name]).__name__}(")
    assert name == "method" or "=" in shown
    assert html.startswith("<div")
    assert html.count("<div") == html.count("</div>")
    assert "<script" not in html
    assert "object at 0x" not in shown + html


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("anomalies", ("row", "p_value", "score", "reasons")),
        ("check", ("round trip", "ok", "large inputs")),
        ("comparison", ("one", "other", "log p", "behind the best")),
        ("drift", ("log p", "&#x27;column 1&#x27;", "&#x27;column 1&#x27; given the rest")),
    ],
)
def test_notebooks_show_the_rows_of_answers(answers, name: str, cells: tuple[str, ...]):
    html = answers[name]._repr_html_()
    assert [cell for cell in cells if f">{cell}</t" not in html] == []
    # What stands in the first line stands in print, too.
    assert str(answers[name]).splitlines()[0].replace("'", "&#x27;") in html


def test_printed_anomalies_name_their_rows(answers):
    first, *rows = str(answers["anomalies"]).splitlines()
    assert first == answers["anomalies"].selection
    assert [int(line.split(",")[0].split()[1]) for line in rows] == answers["anomalies"].table[
        "row"
    ].to_pylist()
