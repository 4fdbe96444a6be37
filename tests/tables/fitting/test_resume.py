"""A fit of a table that was stopped anywhere goes on to the model of one that was not, bit for bit."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from logpx.errors import DataError, UsageError
from logpx.tables import fit_table
from logpx.tables.fitting.search import Search
from logpx.training import journal
from logpx.training.loop import _Descent

STEPS = 8
GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(60, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]])
WHOLE = {"a": ROWS[:, 0], "b": np.exp(ROWS[:, 1])}
TABLES = {"whole": WHOLE, "holes": {**WHOLE, "a": np.where(GENERATOR.random(60) < 0.1, np.nan, ROWS[:, 0])}}


class StopAt:
    """Counts how often the fit asks whether to stop; from one of these on, the answer is yes."""

    def __init__(self, asked: int | None = None) -> None:
        self.asked, self._at = 0, asked

    def __call__(self) -> bool:
        self.asked += 1
        return self._at is not None and self.asked >= self._at


def content(result) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in result.model.state_dict().items()}


def fit(table, model: str, **options):
    return fit_table(table, model, max_steps=STEPS, **options)


@pytest.mark.parametrize(
    ("table", "model", "stops"),
    [
        ("whole", "maf", 2),
        ("holes", "gmm", 2),
        ("holes", "ppca", 2),
        ("holes", "vae", 1),
        ("whole", "auto", 1),
        *(
            pytest.param(table, model, 1000, marks=pytest.mark.slow)
            for table in TABLES
            for model in ("gaussian", "gmm", "fa", "mppca", "vae", "autoregressive", "auto")
        ),
    ],
)
def test_resumed_fit_gives_the_same_model(table: str, model: str, stops: int, tmp_path: Path):
    # The kept fit asks more often than one that keeps nothing, and may be stopped at each of these.
    never = StopAt()
    reference = fit(TABLES[table], model, should_stop=never, checkpoint=tmp_path / "whole")
    for stop in sorted({round(place) for place in np.linspace(1, never.asked - 1, stops + 2)[1:-1]}):
        folder = tmp_path / str(stop)
        ended = fit(TABLES[table], model, checkpoint=folder, should_stop=StopAt(stop))
        assert ended.ended == "interrupted"
        resumed = fit(TABLES[table], model, resume=folder)
        assert content(resumed) == content(reference), stop
        assert resumed.notes == reference.notes
        assert resumed.ended == reference.ended
        scores = [[one.validation for one in each.candidates] for each in (resumed, reference)]
        assert scores[0] == scores[1]


def test_resumed_search_for_settings_gives_the_same_trials(tmp_path: Path):
    pytest.importorskip("optuna")
    never, options = StopAt(), {"trials": 3}
    reference = fit(WHOLE, "nice", should_stop=never, checkpoint=tmp_path / "whole", **options)
    fit(WHOLE, "nice", checkpoint=tmp_path / "run", should_stop=StopAt(never.asked // 5), **options)
    resumed = fit(WHOLE, "nice", resume=tmp_path / "run", **options)
    assert content(resumed) == content(reference)
    tried = [[(trial.settings, trial.validation) for trial in each.trials] for each in (resumed, reference)]
    assert tried[0] == tried[1]
    assert len(tried[0]) == 3


def test_resumed_fit_with_weights_gives_the_same_model(tmp_path: Path):
    never, weights = StopAt(), GENERATOR.uniform(0.0, 3.0, 60)
    reference = fit(WHOLE, "gmm", should_stop=never, checkpoint=tmp_path / "whole", weights=weights)
    for stop in (never.asked // 3, 2 * never.asked // 3):
        folder = tmp_path / str(stop)
        fit(WHOLE, "gmm", checkpoint=folder, should_stop=StopAt(stop), weights=weights)
        resumed = fit(WHOLE, "gmm", resume=folder, weights=weights)
        assert content(resumed) == content(reference), stop


@pytest.mark.slow
def test_resumed_fit_to_all_rows_gives_the_same_model(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("logpx.tables.fitting.rows._MOST_NUMBERS", 60)
    monkeypatch.setattr("logpx.tables.families.family.ClimbingFamily.most_numbers", 60)
    never, options = StopAt(), {"components": 2, "all_rows": True}
    reference = fit(WHOLE, "gmm", should_stop=never, checkpoint=tmp_path / "whole", **options)
    assert any("of EM on all 60 rows" in note for note in reference.notes)
    for stop in (never.asked // 2, never.asked - 1):
        folder = tmp_path / str(stop)
        ended = fit(WHOLE, "gmm", checkpoint=folder, should_stop=StopAt(stop), **options)
        assert ended.ended == "interrupted"
        assert content(fit(WHOLE, "gmm", resume=folder, **options)) == content(reference), stop


def test_keeping_changes_nothing(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("logpx.training.checkpoints._SHARE", 1e9)
    kept = fit(TABLES["whole"], "maf", checkpoint=tmp_path / "whole", every=1e-9)
    assert content(kept) == content(fit(TABLES["whole"], "maf"))


def test_candidates_that_are_ready_are_not_fitted_again(tmp_path: Path, monkeypatch):
    steps, ready = [], []
    advance, best = _Descent.advance, Search.best
    monkeypatch.setattr(_Descent, "advance", lambda self, batch: steps.append(1) or advance(self, batch))
    monkeypatch.setattr(Search, "best", lambda self, **options: ready.append(1) or best(self, **options))
    fit(TABLES["whole"], "auto", checkpoint=tmp_path / "run", should_stop=lambda: bool(ready))
    assert len(steps) == 3 * STEPS
    for seen in (steps, ready):
        seen.clear()
    fit(TABLES["whole"], "auto", resume=tmp_path / "run", should_stop=lambda: bool(ready))
    assert not steps


@pytest.mark.parametrize(
    ("table", "options", "error", "message"),
    [
        (WHOLE, {"seed": 1}, UsageError, "seed is 1, and the fit was begun with 0"),
        (WHOLE, {"max_epochs": 3}, UsageError, "max_epochs is 3"),
        (
            {**WHOLE, "b": WHOLE["b"] + 0.5},
            {},
            DataError,
            r"column 'b'.*the cells of the column have changed",
        ),
        ({"a": WHOLE["a"], "d": WHOLE["b"]}, {}, DataError, "the column 'd' only now"),
        ({**WHOLE, "c": WHOLE["b"][::-1]}, {}, DataError, "the column 'c' only now"),
        (
            {name: x[:-1] for name, x in WHOLE.items()},
            {},
            DataError,
            "rows 59, and the fit was begun with 60",
        ),
    ],
    ids=["seed", "epochs", "cells", "other column", "more columns", "fewer rows"],
)
def test_what_differs_is_named(table, options: dict, error: type[Exception], message: str, tmp_path: Path):
    fit(WHOLE, "maf", checkpoint=tmp_path / "run", should_stop=StopAt(4))
    with pytest.raises(error, match=message) as info:
        fit(table, "maf", resume=tmp_path / "run", **options)
    assert info.value.fix


def test_time_is_counted_and_its_plan_is_kept(tmp_path: Path):
    fit_table(WHOLE, "auto", max_time=600, checkpoint=tmp_path / "run", every=1e-9, should_stop=StopAt(60))
    plans = sorted((tmp_path / "run/plan").glob("step-*"))
    plan = json.loads((plans[-1] / "state.json").read_text())["values"]
    allotted = {name: value for name, value in plan["decisions"].items() if name.endswith("/seconds")}
    assert "gaussian-standard/seconds" in allotted
    assert all(0.0 < value <= 600.0 for value in allotted.values())
    assert plan["seconds"] > 0.0
    result = fit_table(WHOLE, "auto", max_time=plan["seconds"] + 0.5, resume=tmp_path / "run")
    assert result.ended == "time"
    assert result.seconds > plan["seconds"]


def test_states_wait_in_memory_until_it_is_time(tmp_path: Path):
    fit(WHOLE, "maf", checkpoint=tmp_path / "run", every=1e6)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["begun"]


def test_writing_takes_no_more_than_its_share(tmp_path: Path, monkeypatch):
    spent = []
    write = journal._Shared.write

    def timed(self, *args, **kwargs):
        began = time.monotonic()
        try:
            return write(self, *args, **kwargs)
        finally:
            spent.append(time.monotonic() - began)

    monkeypatch.setattr(journal._Shared, "write", timed)
    began = time.monotonic()
    fit_table(WHOLE, "maf", max_steps=60, checkpoint=tmp_path / "run", every=1e-3)
    # The one that was begun last may take longer than those before it.
    assert sum(spent[:-1]) <= 0.021 * (time.monotonic() - began)
