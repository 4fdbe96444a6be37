"""One run of EM with scikit-learn's rule for when to stop."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from logpx.estimators.mixture_start import Start
from logpx.inference import expectation_maximisation
from logpx.latent import GaussianMixture

__all__ = ["Run", "Settings", "run_em"]


class Settings(Protocol):
    """The parameters of an estimator that a fit looks at."""

    n_components: int
    covariance_type: str
    tol: float
    reg_covar: float
    max_iter: int
    n_init: int
    weights_init: Any
    means_init: Any
    precisions_init: Any
    random_state: Any
    verbose: int
    verbose_interval: int
    prior: Any


@dataclass(frozen=True)
class Run:
    """How a run of EM ended.

    Parameters
    ----------
    objective
        The mean log-likelihood at the end, plus the log-prior divided by the number of rows.
    objectives
        The same after each iteration.
    log_likelihood
        The mean log-likelihood at the end, in nats.
    converged
        Whether the last change was less than the tolerance.
    collapsed
        Whether a component has shrunk onto a few rows.
    state
        The state dict.
    """

    objective: float
    objectives: list[float]
    log_likelihood: float
    converged: bool
    collapsed: bool
    state: dict[str, torch.Tensor]


class _Watch:
    """Ends EM when the objective changes by less than a tolerance, and prints how far it is."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.converged = False
        self._last = -math.inf
        self._began = time.monotonic()

    def __call__(self, iteration: int, objective: float) -> bool:
        change, self._last = objective - self._last, objective
        self.converged = abs(change) < self.settings.tol
        if self.settings.verbose and iteration and iteration % self.settings.verbose_interval == 0:
            print(f"  Iteration {iteration}{self._details(f'change {change:.5f}')}")
        return self.converged

    def end(self) -> None:
        if self.settings.verbose:
            verb = "converged" if self.converged else "did not converge"
            print(f"Initialization {verb}.{self._details(f'lower bound {self._last:.5f}')}")

    def _details(self, text: str) -> str:
        if self.settings.verbose < 2:
            return ""
        return f"\t time {time.monotonic() - self._began:.5f} s\t {text}"


def run_em(model: GaussianMixture, start: Start, settings: Settings) -> Run:
    """Run EM on a mixture, in place, from the parameters that it has."""
    rows = torch.tensor(start.rows)
    weights = None if start.weights is None else torch.tensor(start.weights)
    watch = _Watch(settings)
    # The rule of EM's own looks further ahead than that of scikit-learn, and would never be met.
    result: Any = expectation_maximisation(
        model,
        lambda: [(rows, weights)],
        max_iterations=int(settings.max_iter),
        tolerance=-math.inf,
        callback=watch,
    )
    watch.end()
    return Run(
        objective=result.penalised,
        objectives=result.history[1:],
        log_likelihood=result.log_likelihood,
        converged=watch.converged,
        collapsed=bool(model.collapsed(result.statistics)),
        state={name: tensor.clone() for name, tensor in model.state_dict().items()},
    )
