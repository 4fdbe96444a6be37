"""Normalizing flows with the interface of scikit-learn."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from logpx.distributions import Flow
from logpx.distributions.seeding import seeded
from logpx.errors import UsageError
from logpx.estimators.base import Rows
from logpx.estimators.trained import TrainedDensity
from logpx.flows import IAF, MAF, NICE, NSF, RealNVP
from logpx.suggestions import suggestion
from logpx.transforms import Chain, Standardize

__all__ = ["FLOWS", "FlowDensity"]


def _nsf(features: int, **options: Any) -> Flow:
    # A coupling needs two features, one to look at and one to map.
    return NSF(features, autoregressive=features == 1, **options)


def _autoregressive_nsf(features: int, **options: Any) -> Flow:
    return NSF(features, autoregressive=True, **options)


_BUILDERS: dict[str, Callable[..., Flow]] = {
    "nsf": _nsf,
    "autoregressive_nsf": _autoregressive_nsf,
    "maf": MAF,
    "iaf": IAF,
    "realnvp": RealNVP,
    "nice": NICE,
}
FLOWS = MappingProxyType(_BUILDERS)
# Flows that need two features.
_OF_COUPLINGS = ("realnvp", "nice")


class FlowDensity(TrainedDensity):
    """A normalizing flow as a density estimator, and as a transformer between data and noise.

    Parameters
    ----------
    flow
        ``nsf``, ``autoregressive_nsf``, ``maf``, ``iaf``, ``realnvp`` or ``nice``; or an unfitted flow of
        logpx (every ``fit`` trains a copy). A flow given by name models the data standardized in float64; any
        other sees the data as they are.
    layers, hidden
        For a flow given by name: the number of layers, and the widths of its conditioners' hidden layers;
        None for its own defaults.
    max_epochs, max_time, batch_size, learning_rate, validation_fraction, noise
        As in `logpx.fit`; None leaves the choice to it.
    dtype
        ``float32`` or ``float64``, for training. Scores are computed in float64.
    random_state
        For the initial weights, the split of the rows, their order, and the samples.
    device
        Where to compute, such as ``"cuda"``; None for the CPU, or the device of a given flow.
    verbose
        Whether to show progress.

    Attributes
    ----------
    model_ : logpx.distributions.Flow
        The fitted flow in float64, in the units of the data.
    validation_score_ : float or None
        The mean of log p(x) over the validation rows, in nats; None if there were none.
    n_epochs_ : int
        The number of passes over the rows after which the flow was best.
    stopped_ : str
        Why training ended.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if they had any.

    Notes
    -----
    A row of weight 2 counts like two rows in every expectation. Training visits rows in random batches, so
    the two fits agree exactly only with full batches, ``noise=0`` and ``validation_fraction=0``.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 2)) + [1e6, 0.0]
    >>> flow = FlowDensity("realnvp", layers=2, hidden=(8,), max_epochs=2, random_state=0).fit(X)
    >>> flow.score_samples(X).shape, flow.transform(X).shape
    ((200,), (200, 2))
    >>> bool(np.allclose(flow.inverse_transform(flow.transform(X)), X))
    True
    """

    vectors = "noise"
    model_: Flow

    def __init__(
        self,
        flow: str | Flow = "nsf",
        *,
        layers: int | None = None,
        hidden: Sequence[int] | None = None,
        max_epochs: float | None = None,
        max_time: float | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float | None = None,
        noise: float | None = None,
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        device: str | None = None,
        verbose: bool = False,
    ) -> None:
        self.flow = flow
        self.layers = layers
        self.hidden = hidden
        self.max_epochs = max_epochs
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.noise = noise
        self.dtype = dtype
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> FlowDensity:
        """Train the flow by maximum likelihood.

        Parameters
        ----------
        X
            Shape ``(n_samples, n_features)``. A missing cell is NaN, if the given flow `allows_missing`.
        y
            Ignored.
        sample_weight
            At least 0, shape ``(n_samples,)``.

        Returns
        -------
        FlowDensity
            Itself.

        Raises
        ------
        ValueError
            If an argument is invalid, there are too few rows, or a column never varies.
        DivergedError
            If training diverges.
        """
        dtype = self._torch_dtype()
        rows, weights = self._rows_to_fit(X, sample_weight)
        seed = self._new_seed()
        flow = self._new_flow(rows.shape[1], seed).to(dtype)
        unit = None
        if isinstance(self.flow, str):
            unit = self._unit(rows, weights)
            rows = unit.forward(torch.tensor(rows))[0].numpy()
        result = self._train(flow, rows, seed, weights=weights, noise=self.noise)
        self.validation_score_ = result.best_validation
        if unit is not None:
            device = next(flow.parameters()).device
            flow = Flow(flow.base, Chain([unit.to(device), flow.transform]))
            if self.validation_score_ is not None:
                self.validation_score_ -= float(unit.scale.log().sum())
        self.model_ = flow.double().eval()
        return self

    @property
    def allow_nan(self) -> bool:
        """Whether cells may be missing: if the given flow integrates them out, which those by name do not."""
        return isinstance(self.flow, Flow) and bool(self.flow.allows_missing)

    def transform(self, X: ArrayLike) -> Rows:
        """Map data to noise, shape ``(n_samples, n_features)``."""
        return self._by_blocks(self._rows_like_fitted(X), lambda x: self.model_.transform.forward(x)[0])

    def inverse_transform(self, X: ArrayLike) -> Rows:
        """Map noise to data, shape ``(n_samples, n_features)``."""
        return self._by_blocks(self._vectors(X), lambda z: self.model_.transform.inverse(z)[0])

    @property
    def _n_features_out(self) -> int:
        return self.n_features_in_

    def _new_flow(self, features: int, seed: int) -> Flow:
        if isinstance(self.flow, Flow):
            if self.flow.event_shape != (features,) or self.flow.context_features:
                raise UsageError(
                    f"the flow has event shape {self.flow.event_shape} and "
                    f"{self.flow.context_features} context features, but the data have {features} columns",
                    fix="build the flow for these data, without a context",
                )
            if self.layers is not None or self.hidden is not None:
                raise UsageError("layers or hidden for a flow already built", fix="build the flow with them")
            return copy.deepcopy(self.flow)
        if self.flow not in FLOWS:
            raise UsageError(f"there is no flow {self.flow!r}", fix=suggestion(str(self.flow), list(FLOWS)))
        if features == 1 and self.flow in _OF_COUPLINGS:
            raise UsageError(
                f"{self.flow!r} for n_features = 1: its couplings map some features given the others",
                fix="take 'nsf' or 'maf'",
            )
        options = {"layers": self.layers, "hidden": self.hidden}
        with seeded(seed):
            return FLOWS[self.flow](features, **{k: v for k, v in options.items() if v is not None})

    def _unit(self, rows: Rows, weights: Rows | None) -> Standardize:
        with np.errstate(over="ignore", invalid="ignore"):
            means = np.average(rows, axis=0, weights=weights)
            scales = np.sqrt(np.average(np.square(rows - means), axis=0, weights=weights))
        self._refuse_constants(means, scales)
        given = dict(enumerate(zip(means.tolist(), scales.tolist(), strict=True)))
        unit = Standardize(rows.shape[1], given).double()
        unit.initialise(torch.tensor(rows))
        return unit
