"""`trials=` of `logpx.fit`: sizes and learning rates are searched for, recorded, and the best are fitted."""

import numpy as np
import pytest

import logpx
from logpx.errors import UsageError
from logpx.tables import FAMILIES
from logpx.tables.families import families
from logpx.tables.fitting.trials import Trial, searched_settings


def rows(count: int = 120) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 2)) @ [[1.0, 0.8], [0.0, 0.6]]


def test_the_best_settings_of_all_trials_are_fitted_and_recorded(monkeypatch) -> None:
    trained = []
    train = families.train
    monkeypatch.setattr(
        families, "train", lambda *given, **own: (trained.append(given[3].settings), train(*given, **own))[1]
    )
    result = logpx.fit("realnvp", rows(), trials=3, max_steps=5)
    assert [trial.model for trial in result.trials] == ["realnvp"] * 3
    assert result.trials[0].settings == FAMILIES["realnvp"].usual(result.train_rows, 2)
    best = max(result.trials, key=lambda trial: trial.validation)
    # The same settings, steps and seed give the same model again.
    assert result.chosen.validation == pytest.approx(best.validation, abs=1e-9)
    # The folds of the calibration, too, are fitted with the best settings.
    assert len(trained) > 4
    assert all(settings == best.settings for settings in trained[3:])
    assert len(result.to_dict()["trials"]) == 3
    assert "best settings of 3 trials" in " ".join(result.notes)


def test_the_search_finds_the_maximum_of_a_known_function() -> None:
    def tried(family, settings, number, of):
        value = -abs(np.log(settings["learning_rate"] / 2e-3)) - abs(settings["layers"] - 7)
        return Trial(model=family.name, settings=settings, validation=value, seconds=0.0)

    best, trials = searched_settings([FAMILIES["maf"], FAMILIES["gmm"]], 60, (500, 3), 0, tried)
    assert len(trials) == 60
    assert set(best) == {"maf"}
    assert best["maf"]["layers"] == 7
    assert best["maf"]["learning_rate"] == pytest.approx(2e-3, rel=0.4)


def test_trials_that_fail_are_passed_over_and_a_stop_ends_the_search() -> None:
    def tried(family, settings, number, of):
        if number == 4:
            return None
        value = None if number % 2 else -float(number)
        return Trial(model=family.name, settings=settings, validation=value, seconds=0.0, note="why")

    best, trials = searched_settings([FAMILIES["nsf"]], 9, (500, 3), 0, tried)
    assert len(trials) == 4
    assert best["nsf"] == trials[0].settings


def test_mistakes() -> None:
    with pytest.raises(UsageError, match=r"gmm has no settings to try"):
        logpx.fit("gmm", rows(), trials=5)
    with pytest.raises(UsageError, match="trials"):
        logpx.fit("maf", rows(), trials=-1)
