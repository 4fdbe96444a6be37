"""The variational autoencoder with the interface of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from logpx.arguments import check_count
from logpx.distributions.likelihoods import NormalLikelihood, ScalePerValue
from logpx.distributions.seeding import seeded
from logpx.estimators.base import Rows
from logpx.estimators.trained import TrainedDensity
from logpx.latent import VAE, EvidenceLowerBound
from logpx.latent.log_weights import iwae
from logpx.training.plan import TrainingOptions, plan_for
from logpx.training.split import validation_count

__all__ = ["VariationalAutoencoder"]

# How many rows times draws are decoded at once.
_BLOCK = 65_536
_SEED_OF_DRAWS = 0
# Where no linear map explains anything, as of a ring, training without a warm-up ends at a normal
# distribution. It takes so many steps, and at most this share of the planned ones.
_WARM_UP_STEPS, _WARM_UP_SHARE = 500, 0.2


class VariationalAutoencoder(TrainedDensity):
    """A variational autoencoder of real data as a density estimator, and a transformer to latent vectors.

    Scores are lower bounds of log p(x). Each column has its own noise deviation, which is trained too.

    Parameters
    ----------
    n_components
        The number of latent dimensions.
    hidden
        Widths of the encoder's hidden layers; the decoder has them in reverse order.
    max_epochs, max_time, batch_size, learning_rate, validation_fraction
        As in `logpx.fit`; None leaves the choice to it.
    n_draws
        Draws of the latent vector per row in `score_samples`: more draws bring the score nearer to log p(x).
    allow_nan
        Whether cells may be missing (NaN). They are integrated out.
    dtype
        ``float32`` or ``float64``, for training. Scores are computed in float64.
    random_state
        For the initial weights, the split of the rows, their order, the draws in training, and the samples.
    device
        Where to compute, such as ``"cuda"``; None for the CPU.
    verbose
        Whether to show progress.

    Attributes
    ----------
    model_ : logpx.latent.VAE
        The fitted model in float64, in the units of the data.
    n_epochs_ : int
        The number of passes over the rows after which the model was best.
    stopped_ : str
        Why training ended.
    n_features_in_ : int
        The number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if they had any.

    Notes
    -----
    The weight of the KL divergence rises from 0 to 1 over the first steps of training, at most a fifth of the
    planned ones: without that, z stays unused where no linear map of it explains the rows, as on a ring.

    A row of weight 2 counts like two rows in every expectation. Training draws a latent vector for each row,
    once for a row of weight 2 and twice for two equal rows, so that the two fits differ by chance.

    References
    ----------
    Kingma and Welling 2014, Auto-encoding variational Bayes; Burda, Grosse and Salakhutdinov 2016, Importance
    weighted autoencoders; Mattei and Frellsen 2019, MIWAE (missing cells).
    https://arxiv.org/abs/1312.6114
    https://arxiv.org/abs/1509.00519
    https://arxiv.org/abs/1812.02633

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 3)) + [1e6, 0.0, 0.0]
    >>> vae = VariationalAutoencoder(n_components=1, hidden=(8,), max_epochs=2, random_state=0).fit(X)
    >>> vae.score_samples(X).shape, vae.transform(X).shape, vae.inverse_transform([[0.0]]).shape
    ((200,), (200, 1), (1, 3))
    """

    model_: VAE

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden: Sequence[int] = (64,),
        max_epochs: float | None = None,
        max_time: float | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float | None = None,
        n_draws: int = 64,
        allow_nan: bool = True,
        dtype: str = "float32",
        random_state: int | np.random.RandomState | None = None,
        device: str | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.max_epochs = max_epochs
        self.max_time = max_time
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.n_draws = n_draws
        self.allow_nan = allow_nan
        self.dtype = dtype
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> VariationalAutoencoder:
        """Train the encoder and the decoder on the evidence lower bound.

        Parameters
        ----------
        X
            Shape ``(n_samples, n_features)``; a missing cell is NaN.
        y
            Ignored.
        sample_weight
            At least 0, shape ``(n_samples,)``: a row of weight 2 counts like two rows in every expectation.

        Returns
        -------
        VariationalAutoencoder
            Itself.

        Raises
        ------
        ValueError
            If an argument is invalid, there are too few rows, or a column never varies.
        DivergedError
            If training diverges.
        """
        dtype = self._torch_dtype()
        check_count("n_components", self.n_components)
        check_count("n_draws", self.n_draws)
        rows, weights = self._rows_to_fit(X, sample_weight)
        centre, spread = self._units(rows, weights)
        seed = self._new_seed()
        features = rows.shape[1]
        with seeded(seed):
            likelihood = NormalLikelihood(features, ScalePerValue(features))
            missing = bool(np.isnan(rows).any())
            objective = EvidenceLowerBound(warm_up=self._warm_up(len(rows)))
            model = VAE(
                likelihood, self.n_components, tuple(self.hidden), objective=objective, masked=missing
            )
            model = model.to(dtype)
        # In float64, so that the columns' units and offsets do not matter.
        self._train(model, (rows - centre) / spread, seed, weights=weights)
        self.model_ = _in_units(model.double(), centre, spread).eval()
        return self

    def score_samples(self, X: ArrayLike) -> Rows:
        """Return a lower bound of log p(x) for every row.

        It is the importance-weighted bound. All rows share the same `n_draws` draws of noise, so the score of
        a row does not depend on the other rows.

        Parameters
        ----------
        X
            Shape ``(n_samples, n_features)``.

        Returns
        -------
        ndarray of shape (n_samples,)
            In nats; in expectation at most log p(x) of the observed cells.
        """
        return self._log_prob(self._rows_like_fitted(X))

    def transform(self, X: ArrayLike) -> Rows:
        """Return the posterior means of the latent vectors, shape ``(n_samples, n_components)``."""
        return self._by_blocks(self._rows_like_fitted(X), lambda x: self.model_.posterior(x).mean)

    def inverse_transform(self, X: ArrayLike) -> Rows:
        """Return the decoder's means for latent vectors, shape ``(n_samples, n_features)``."""
        return self._by_blocks(self._vectors(X), lambda z: self.model_.likelihood(z).mean)

    def impute(self, X: ArrayLike) -> Rows:
        """Return rows with missing cells replaced by their conditional means, by importance sampling."""
        return self._by_blocks(self._rows_like_fitted(X), self.model_.impute)

    @property
    def _n_features_out(self) -> int:
        return self.model_.latent

    def _warm_up(self, rows: int) -> int:
        """Return over how many steps the weight of the KL divergence rises to 1."""
        training = rows - validation_count(rows, self.validation_fraction)
        options = TrainingOptions(batch_size=self.batch_size, max_epochs=self.max_epochs)
        return min(_WARM_UP_STEPS, round(_WARM_UP_SHARE * plan_for(training, options).max_steps))

    def _log_prob(self, rows: Rows) -> Rows:
        generator = torch.Generator().manual_seed(_SEED_OF_DRAWS)
        noise = torch.randn(self.n_draws, 1, self.model_.latent, generator=generator, dtype=torch.float64)
        size = max(1, _BLOCK // self.n_draws)
        parts = [part for block in self._blocks(rows) for part in torch.split(block, size)]
        with torch.no_grad():
            return np.concatenate([self._bound(x, noise.to(x.device)).numpy(force=True) for x in parts])

    def _bound(self, x: Tensor, noise: Tensor) -> Tensor:
        q = self.model_.posterior(x)
        z = q.mean + q.stddev * noise
        joint = self.model_.prior.log_prob(z) + self.model_.likelihood(z).log_prob(x)
        # log p of a row without observed cells is 0 and needs no estimate.
        return iwae(joint - q.log_prob(z)).masked_fill(x.isnan().all(1), 0.0)

    def _units(self, rows: Rows, weights: Rows | None) -> tuple[Rows, Rows]:
        """Return the means and deviations of the columns' observed cells."""
        there = ~np.isnan(rows)
        shares = there if weights is None else there * weights[:, None]
        count = np.maximum(shares.sum(axis=0), np.finfo(np.float64).tiny)
        with np.errstate(over="ignore", invalid="ignore"):
            centre = (np.where(there, rows, 0.0) * shares).sum(axis=0) / count
            spread = np.sqrt((np.square(np.where(there, rows - centre, 0.0)) * shares).sum(axis=0) / count)
        self._refuse_constants(centre, spread)
        return centre, spread


@torch.no_grad()
def _in_units(model: VAE, centre: Rows, spread: Rows) -> VAE:
    """Turn a model of standardized columns into one of the original columns."""
    likelihood = cast(NormalLikelihood, model.likelihood_family)
    for part in (model.units, likelihood):
        own = torch.tensor(spread, device=part.spread.device)
        part.centre.copy_(torch.tensor(centre, device=own.device) + own * part.centre)
        part.spread.copy_(own * part.spread)
    return model
