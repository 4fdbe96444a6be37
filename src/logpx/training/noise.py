"""Noise on the training rows of small data, which keeps a flexible density from fitting single rows."""

from __future__ import annotations

import torch
from torch import Tensor

from logpx.training.batches import Batch, epoch_generator

__all__ = ["TrainingNoise"]


class TrainingNoise:
    """Adds normal noise in proportion to the columns' interquartile ranges, reflected at the columns' ends.

    Missing cells stay missing. The rows stay within the range of the data, and so within the support of a
    bounded model. The level falls to 0 during training, as lasting noise would blur narrow structure; the
    validation rows decide which state is best.

    Parameters
    ----------
    rows
        Training rows, shape ``(n, *event_shape)``.
    seed
        The noise of an epoch depends only on seed and epoch.

    References
    ----------
    Rothfuss et al. 2019, Noise Regularization for Conditional Density Estimation.
    https://arxiv.org/abs/1907.08982

    Examples
    --------
    >>> rows = torch.linspace(0.0, 1.0, 101)[:, None]
    >>> noisy = TrainingNoise(rows, seed=0).add(Batch(rows, torch.arange(101)), epoch=0, level=0.1).x
    >>> bool((noisy != rows).any()), bool(((noisy >= 0.0) & (noisy <= 1.0)).all())
    (True, True)
    """

    # Of a normal distribution, in standard deviations.
    _INTERQUARTILE_RANGE = 1.349

    def __init__(self, rows: Tensor, seed: int) -> None:
        # Missing cells (NaN) come last.
        ordered = rows.sort(0).values
        last = ((~rows.isnan()).sum(0, keepdim=True) - 1).clamp_min(0)
        quarter = last // 4
        lower, upper = ordered.gather(0, quarter)[0], ordered.gather(0, last - quarter)[0]
        # A column with a spike in its middle has interquartile range 0, and gets no noise.
        self._scale = (upper - lower) / self._INTERQUARTILE_RANGE
        self._low, self._high = ordered[0], ordered.gather(0, last)[0]
        self._seed = seed
        self.epoch = -1
        self.generator = torch.Generator()

    def add(self, batch: Batch, epoch: int, level: float) -> Batch:
        """Return the batch with noise; the level is relative to the spread of a column."""
        if level <= 0.0:
            return batch
        if epoch != self.epoch:
            # A different random stream from that of the epoch's order.
            self.epoch, self.generator = epoch, epoch_generator(self._seed, -1 - epoch)
        # Always on the CPU, so that a seed gives the same noise on every device.
        noise = torch.randn(batch.x.shape, generator=self.generator, dtype=batch.x.dtype).to(batch.x.device)
        x = torch.addcmul(batch.x, noise, self._scale, value=level)
        x = torch.where(x > self._high, 2.0 * self._high - x, x)
        x = torch.where(x < self._low, 2.0 * self._low - x, x)
        x = torch.minimum(torch.maximum(x, self._low), self._high)
        return Batch(x, batch.rows, batch.context, batch.weights)
