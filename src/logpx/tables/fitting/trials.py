"""A search for sizes and learning rates of models trained by gradient descent, by Optuna."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from logpx.arguments import check_count
from logpx.errors import MissingExtraError, UsageError
from logpx.tables.families.families import FAMILIES
from logpx.tables.families.family import TableFamily
from logpx.tables.families.settings import Setting, Value

__all__ = ["Trial", "Tried", "in_words", "require_trials", "searched_settings"]

# How settings of a family are called in a study, and how many trials precede what was learnt from them.
_MODEL = "model"
_RANDOM = 8


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Settings that were tried.

    Attributes
    ----------
    model : str
        The name of the family.
    settings : dict
        Sizes and learning rate, by name.
    validation : float or None
        The mean log p per row set aside, in nats and table units; None if the fit failed.
    seconds : float
        Time taken.
    note : str
        Why it failed.
    """

    model: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    validation: float | None = None
    seconds: float
    note: str = ""

    def __str__(self) -> str:
        value = self.note if self.validation is None else f"{self.validation:.3f} nats per validation row"
        return f"{self.model}, {in_words(self.settings)}: {value} ({self.seconds:.1f} s)"


class Tried(Protocol):
    """What fits a family with some settings."""

    def __call__(
        self, family: TableFamily, settings: Mapping[str, Value], number: int, of: int
    ) -> Trial | None:
        """Return how it went, or None if there is no time."""


def require_trials(model: str, families: Sequence[TableFamily], trials: int) -> None:
    """Refuse a search where there is nothing to search for, or without Optuna.

    Raises
    ------
    MissingExtraError
        If Optuna is not installed.
    UsageError
        If the number is none, or no family of the name has settings.
    """
    check_count("trials", trials, least=0)
    if not trials:
        return
    if not any(family.settings for family in families):
        able = FAMILIES.fix(lambda family: bool(family.settings))
        raise UsageError(
            f"trials is {trials}, and {model} has no settings to try: its size is chosen anyway",
            fix=f"leave trials out, or take {able}",
        )
    _optuna()


def searched_settings(
    families: Sequence[TableFamily], trials: int, shape: tuple[int, int], seed: int, tried: Tried
) -> tuple[dict[str, dict[str, Value]], list[Trial]]:
    """Return the best settings found for each family, and all trials.

    The usual settings of each family come first, some at random follow, and then the tree-structured Parzen
    estimator chooses a family and its settings by what was best so far.

    Parameters
    ----------
    families
        Those to choose among; the ones without settings are passed over.
    trials
        How many.
    shape
        The numbers of training rows and of columns.
    seed
        Seed of the choices.
    tried
        Fits a family.

    References
    ----------
    Bergstra, Bardenet, Bengio and Kégl 2011, Algorithms for hyper-parameter optimization; Akiba, Sano,
    Yanase, Ohta and Koyama 2019, Optuna.
    https://arxiv.org/abs/1907.10902
    """
    optuna = _optuna()
    able = {family.name: family for family in families if family.settings}
    found: list[Trial] = []
    with _silent():
        sampler = optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=min(_RANDOM, trials // 2))
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for family in able.values():
            usual = {f"{family.name}.{name}": value for name, value in family.usual(*shape).items()}
            study.enqueue_trial({_MODEL: family.name, **usual})
        for number in range(trials):
            asked = study.ask()
            family = able[asked.suggest_categorical(_MODEL, list(able))]
            settings = {
                name: _suggested(asked, f"{family.name}.{name}", setting)
                for name, setting in family.settings.items()
            }
            trial = tried(family, settings, number, trials)
            if trial is None:
                break
            found.append(trial)
            if trial.validation is None:
                study.tell(asked, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(asked, trial.validation)
    best: dict[str, Trial] = {}
    for trial in found:
        if trial.validation is not None and trial.validation > _value(best.get(trial.model)):
            best[trial.model] = trial
    return {name: dict(trial.settings) for name, trial in best.items()}, found


def in_words(settings: Mapping[str, Value]) -> str:
    """Return settings as text.

    Examples
    --------
    >>> in_words({"layers": 4, "learning_rate": 0.0031234})
    'layers 4, learning rate 0.00312'
    """
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in settings.items())


def _value(trial: Trial | None) -> float:
    return -math.inf if trial is None or trial.validation is None else trial.validation


def _suggested(trial: Any, name: str, setting: Setting) -> Value:
    whole = isinstance(setting.low, int) and isinstance(setting.high, int)
    suggest = trial.suggest_int if whole else trial.suggest_float
    value: Value = suggest(name, setting.low, setting.high, log=setting.logarithmic)
    return value


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "tune") from error
    return optuna


@contextmanager
def _silent() -> Iterator[None]:
    """Leave reports of trials to the fit."""
    logger = logging.getLogger("optuna")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
