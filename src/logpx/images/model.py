"""The model of images: whole levels in, a lower bound of log p(x) out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.distributions import Distribution
from logpx.distributions.seeding import checked_count, checked_seed
from logpx.errors import DataError, UsageError
from logpx.images.dequantisation import Dequantisation, UniformDequantisation
from logpx.images.evaluation import ImageComparison, ImageEvaluation, LowerBound, ScoredImages
from logpx.images.noise import Noise
from logpx.images.preprocessing import LogitPixels
from logpx.images.reading.images import Images
from logpx.images.reading.sources import open_images
from logpx.images.sampling import sample_pictures
from logpx.images.units import bits_per_dimension
from logpx.training.means import RunningMean
from logpx.transforms import Transform
from logpx.transforms.base import check_event

__all__ = ["ImageModel"]

_CHUNK = 256
_START_ROWS = 512


class ImageModel(Distribution):
    r"""A distribution over pictures of whole levels 0, 1, ..., L - 1.

    Noise u over exactly one level is added, and a density of the real numbers x + u bounds the probability of
    the levels x from below (Jensen's inequality),

    .. math:: \log P(x) \ge E_{q(u | x)}[\log p(x + u) - \log q(u | x)],

    with the log abs(det) of every change of units within. The class of a picture, one-hot, may be a context.

    Parameters
    ----------
    flow
        The density of preprocessed pictures, of event shape (C, H, W).
    levels
        The number of levels L.
    dequantisation
        The noise q; uniform by default.
    preprocessing
        From levels to the units of the flow; `LogitPixels` by default.
    classes
        The names of the classes that the flow is conditioned on; as many as it has context features.
    baselines
        Simple distributions of the same pictures by name, for `evaluate`.

    Examples
    --------
    >>> from logpx.distributions import Flow, StandardNormal
    >>> from logpx.transforms import Affine
    >>> shape = (1, 8, 8)
    >>> model = ImageModel(Flow(StandardNormal(shape), Affine(shape)))
    >>> bound = model.log_prob_lower(torch.zeros(2, *shape, dtype=torch.uint8), draws=4, seed=0)
    >>> bound.log_prob.shape, bound.standard_error.shape, model.kind
    ((2,), (2,), 'lower bound')
    """

    allows_constants = True

    def __init__(
        self,
        flow: Distribution,
        levels: int = 256,
        dequantisation: Dequantisation | None = None,
        preprocessing: Transform | None = None,
        classes: Sequence[str] | None = None,
        baselines: Mapping[str, Distribution] | None = None,
    ) -> None:
        super().__init__(flow.event_shape, flow.context_features)
        if len(self.event_shape) != 3:
            raise UsageError(
                f"a flow of event shape {self.event_shape}",
                fix="build it for pictures: (channels, height, width)",
            )
        if classes is not None and len(classes) != self.context_features:
            raise UsageError(
                f"{len(classes)} classes for a flow of {self.context_features} context features",
                fix="build the flow with context=len(classes)",
            )
        self.preprocessing = LogitPixels(self.event_shape, levels) if preprocessing is None else preprocessing
        self.flow = flow
        self.levels = levels
        self.dequantisation = UniformDequantisation() if dequantisation is None else dequantisation
        self.classes = None if classes is None else list(classes)
        self.baselines = nn.ModuleDict(dict(baselines or {}))

    @property
    def kind(self) -> str:
        """What the reported numbers are: always ``lower bound``."""
        return "lower bound"

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the lower bound with one draw of noise, in nats, shape ``(n,)``; see `log_prob_lower`.

        This is what training maximises. The noise is fresh in training mode, from torch's global generator,
        and fixed in evaluation mode, where picture i always gets the same.
        """
        check_event(x, self.event_shape)
        if self.training:
            return self._bound(x, context, Noise())
        starts = range(0, len(x), _CHUNK)
        parts = [
            self._bound(x[i : i + _CHUNK], _rows(context, i, i + _CHUNK), Noise(0, first=i)) for i in starts
        ]
        return torch.cat(parts) if parts else x.new_zeros(0, dtype=self._like().dtype)

    @torch.no_grad()
    def log_prob_lower(
        self, x: Tensor, draws: int = 1, seed: int = 0, context: Tensor | None = None, first: int = 0
    ) -> LowerBound:
        """Return lower bounds of log p(x), averaged over draws of noise.

        Parameters
        ----------
        x
            Whole levels, shape ``(n, C, H, W)``, of any type.
        draws
            How many draws of noise per picture.
        seed
            Seed of the noise; a picture's noise depends on the seed, its number and the draw alone.
        context
            Shape ``(n, context_features)``; see `context_of`.
        first
            The number of pictures before these.

        Raises
        ------
        DataError
            If a value is no whole level of the model; names the picture.
        UsageError
            If the shape is another, or the context does not fit.
        """
        if checked_count(draws) < 1:
            raise UsageError(f"{draws} draws", fix="use at least one draw")
        check_event(x, self.event_shape)
        self._check_levels(x, first)
        parts = [
            self._draws(
                x[i : i + _CHUNK], _rows(context, i, i + _CHUNK), checked_seed(seed), first + i, draws
            )
            for i in range(0, len(x), _CHUNK)
        ]
        values = torch.cat(parts, 1) if parts else torch.zeros(draws, 0, dtype=torch.float64)
        spread = values.std(0) if draws > 1 else torch.full_like(values[0], torch.nan)
        return LowerBound(values.mean(0).numpy(), (spread / draws**0.5).numpy())

    def score(self, source: Any, seed: int = 0, draws: int = 8) -> Iterator[ScoredImages]:
        """Score pictures, anything that `open_images` takes, in memory that does not grow with their number.

        Raises
        ------
        DataError
            If the pictures have another shape, levels or, for a model of classes, no labels.
        """
        for start, x, context in self._batches(source):
            bound = self.log_prob_lower(x, draws, seed, context, start)
            bits = bits_per_dimension(torch.from_numpy(bound.log_prob), self.event_shape)
            yield ScoredImages(start, bound, bits.numpy())

    @torch.no_grad()
    def evaluate(self, source: Any, seed: int = 0, draws: int = 1) -> ImageEvaluation:
        """Return the mean bits per dimension of pictures and its standard error, beside the baselines."""
        own, nats = RunningMean(), RunningMean()
        others = {name: RunningMean() for name in self.baselines}
        gains = {name: RunningMean() for name in self.baselines}
        for start, x, context in self._batches(source):
            log_prob = torch.from_numpy(self.log_prob_lower(x, draws, seed, context, start).log_prob)
            bits = bits_per_dimension(log_prob, self.event_shape)
            nats.add(log_prob)
            own.add(bits)
            for name in others:
                baseline: Any = self.baselines[name]
                other = bits_per_dimension(baseline.log_prob(x).double().cpu(), self.event_shape)
                others[name].add(other)
                gains[name].add(other - bits)
        baselines = {
            name: ImageComparison(
                others[name].value, others[name].standard_error, gains[name].value, gains[name].standard_error
            )
            for name in others
        }
        return ImageEvaluation(
            own.value,
            own.standard_error,
            nats.value,
            nats.standard_error,
            self.kind,
            own.count,
            draws,
            baselines,
        )

    @torch.no_grad()
    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw pictures of whole levels, shape ``(n, C, H, W)``, uint8.

        With a seed, picture i depends only on the seed and i. A context is ``(n, context_features)`` or
        ``(context_features,)``; see `context_of`.
        """
        n = checked_count(n)
        self.check_context(context, (n,))
        z = sample_pictures(self.flow, n, context, seed)
        y = torch.cat([self.preprocessing.inverse(part)[0] for part in torch.split(z, _CHUNK)]) if n else z
        return y.floor().clamp(0, self.levels - 1).to(torch.uint8)

    def context_of(self, labels: Tensor | Sequence[int]) -> Tensor:
        """Return labels one-hot, shape ``(n, context_features)``.

        Raises
        ------
        UsageError
            If the model is not of classes, or a label is none of them.
        """
        numbers = torch.as_tensor(labels, dtype=torch.int64)
        if not self.context_features:
            raise UsageError("the model knows no classes", fix="leave the label out")
        if len(numbers) and not (int(numbers.min()) >= 0 and int(numbers.max()) < self.context_features):
            raise UsageError(
                f"labels from {int(numbers.min())} to {int(numbers.max())}, where the model has "
                f"{self.context_features} classes",
                fix=f"give labels from 0 to {self.context_features - 1}",
            )
        like = self._like()
        return functional.one_hot(numbers, self.context_features).to(like.device, like.dtype)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set the flow's data-dependent statistics from some of the pictures, once."""
        step = max(1, len(x) // _START_ROWS)
        x, context = x[::step], None if context is None else context[::step]
        x = x.to(self._like().dtype)
        u, _ = self.dequantisation.noise(x, Noise(0))
        initialise = getattr(self.flow, "initialise", None)
        if initialise is not None:
            initialise(self.preprocessing.forward(x + u)[0], context)

    def _bound(self, x: Tensor, context: Tensor | None, source: Noise) -> Tensor:
        x = x.to(self._like())
        u, log_q = self.dequantisation.noise(x, source)
        z, ladj = self.preprocessing.forward(x + u)
        return self.flow.log_prob(z, context) + ladj - log_q

    def _draws(self, x: Tensor, context: Tensor | None, seed: int, first: int, draws: int) -> Tensor:
        training = self.training
        self.eval()
        try:
            values = [self._bound(x, context, Noise(seed, first, draw)) for draw in range(draws)]
        finally:
            self.train(training)
        return torch.stack(values).double().cpu()

    def _check_levels(self, x: Tensor, first: int) -> None:
        # In 8 bits the number of levels itself would be 0.
        x = x if x.is_floating_point() else x.to(torch.int64)
        wrong = (x < 0) | (x >= self.levels)
        if x.is_floating_point():
            wrong |= x != x.floor()
        if bool(wrong.any()):
            index = int(wrong.flatten(1).any(1).nonzero()[0])
            raise DataError(
                f"the pixel value {x[index][wrong[index]][0].item():g}, where a whole level of "
                f"0..{self.levels - 1} was expected",
                row=first + index + 1,
                fix="give pixels as whole levels, as in the pictures that the model was fitted to",
            )

    def _batches(self, source: Any) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        classes = None
        if self.context_features:
            classes = self.classes or [str(number) for number in range(self.context_features)]
        images: Images = open_images(source).for_model(self.event_shape, self.levels, classes)
        device = self._like().device
        for batch in images.batches():
            context = None
            if self.context_features and batch.labels is not None:
                context = self.context_of(batch.labels)
            yield batch.start, batch.pixels.to(device), context


def _rows(context: Tensor | None, start: int, stop: int) -> Tensor | None:
    return context if context is None or context.dim() == 1 else context[start:stop]
