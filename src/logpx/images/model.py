"""The model of images: whole levels in, log p(x) or a lower bound of it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from logpx.arguments import check_count
from logpx.distributions import Distribution, LowerBound
from logpx.distributions.seeding import checked_count, checked_seed
from logpx.errors import UsageError
from logpx.images.dequantisation import Dequantisation, UniformDequantisation
from logpx.images.preprocessing import check_levels
from logpx.images.reading.images import Images
from logpx.images.reading.sources import open_images
from logpx.scoring import BitsPerDimension, Evaluation, Noise, ScoredBatch, Tally, sample_blocks
from logpx.transforms import Transform

__all__ = ["SAMPLED_AT_ONCE", "ImageModel"]

_CHUNK = 256
#: The images of a block of samples.
SAMPLED_AT_ONCE = 64
_START_ROWS = 512


class ImageModel(Distribution):
    r"""A distribution over images of whole levels 0, 1, ..., L - 1.

    Noise u over exactly one level is added, and a density of the real numbers x + u bounds the probability of
    the levels x from below (Jensen's inequality),

    .. math:: \log P(x) \ge E_{q(u | x)}[\log p(x + u) - \log q(u | x)],

    with the log abs(det) of every change of units within. A distribution of whole levels, such as a VAE with
    a likelihood of levels, takes no noise: `NoDequantisation`. The class of an image, one-hot, may be a
    context.

    Parameters
    ----------
    flow
        The density of preprocessed images, of event shape (C, H, W), or their distribution.
    levels
        The number of levels L.
    dequantisation
        The noise q; uniform by default.
    preprocessing
        From levels to the units of the flow; by default `LogitPixels`, or levels as they are without noise.
    classes
        The names of the classes that the flow is conditioned on; as many as it has context features.
    baselines
        Simple distributions of the same images by name, for `evaluate`.

    Examples
    --------
    >>> from logpx.distributions import Flow, StandardNormal
    >>> from logpx.transforms import Affine
    >>> shape = (1, 8, 8)
    >>> model = ImageModel(Flow(StandardNormal(shape), Affine(shape)))
    >>> bound = model.log_prob_lower(torch.zeros(2, *shape, dtype=torch.uint8), draws=4, seed=0)
    >>> bound.log_prob.shape, bound.standard_error.shape, model.kind
    (torch.Size([2]), torch.Size([2]), 'lower bound')
    """

    allows_constants = True
    refuses_values = True
    gains_from_noise = False

    def __init__(
        self,
        flow: Distribution,
        levels: int = 256,
        dequantisation: Dequantisation | None = None,
        preprocessing: Transform | None = None,
        *,
        classes: Sequence[str] | None = None,
        baselines: Mapping[str, Distribution] | None = None,
    ) -> None:
        super().__init__(flow.event_shape, flow.context_features)
        if len(self.event_shape) != 3:
            raise UsageError(
                f"a flow of event shape {self.event_shape}",
                fix="build it for images: (channels, height, width)",
            )
        if classes is not None and len(classes) != self.context_features:
            raise UsageError(
                f"{len(classes)} classes for a flow of {self.context_features} context features",
                fix="build the flow with context=len(classes)",
            )
        self.flow = flow
        self.levels = levels
        noise = UniformDequantisation() if dequantisation is None else dequantisation
        units = noise.preprocessing(self.event_shape, levels) if preprocessing is None else preprocessing
        noise.check(units)
        self.preprocessing, self.dequantisation = units, noise
        self.classes = None if classes is None else list(classes)
        self.baselines = nn.ModuleDict(dict(baselines or {}))

    @property
    def context_shape(self) -> tuple[int, ...]:
        """The shape of one context; ``()`` if there is none."""
        return self.flow.context_shape

    @property
    def unit(self) -> BitsPerDimension:
        """What evaluations are reported in."""
        return BitsPerDimension(self.event_shape)

    @property
    def measure(self) -> dict[str, Any]:
        """What log p refers to: models of other images cannot be compared."""
        return {"the shape (C, H, W)": tuple(self.event_shape), "the number of levels": self.levels}

    def weights(self, images: Any) -> None:
        """Return None: all images count alike."""

    def note_on_weights(self, images: Any) -> None:
        """Return None: no image is weighted."""

    @property
    def remarks_on_measure(self) -> dict[str, Any]:
        """What may differ between models that are compared, but has to be said."""
        return {"p(x given class)": "yes" if self.context_features else "no"}

    def opened(self, source: Any, beside: Sequence[ImageModel] = ()) -> Images:
        """Return images that can be read as often as needed; models beside this one need the same."""
        return open_images(source)

    @property
    def kind(self) -> str:
        """What the reported numbers are: ``lower bound``, or ``exact`` of an exact distribution of levels."""
        return self.dequantisation.kind(self.flow)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p(x), or its bound with one draw of noise, as `kind` says: in nats, shape ``(n,)``.

        This is what training maximises. The noise is fresh in training mode, from torch's global generator,
        and fixed in evaluation mode, where image i always gets the same.
        """
        if self.training:
            return self._log_weight(x, context, Noise())
        check_levels(x, self.levels)
        starts = range(0, len(x), _CHUNK)
        parts = [
            self._log_weight(x[i : i + _CHUNK], _rows(context, i, i + _CHUNK), Noise(0, first=i))
            for i in starts
        ]
        return torch.cat(parts) if parts else x.new_zeros(0, dtype=self._like().dtype)

    @torch.no_grad()
    def log_prob_lower(
        self,
        x: Tensor,
        draws: int | None = None,
        seed: int = 0,
        context: Tensor | None = None,
        first: int | Tensor = 0,
        exactness: int | None = None,
    ) -> LowerBound:
        """Return lower bounds of log p(x), averaged over draws of noise or importance-weighted.

        Parameters
        ----------
        x
            Whole levels, shape ``(n, C, H, W)``, of any type.
        draws
            How many draws of noise per image, 1 by default; without noise, those of the distribution.
        seed
            Seed of the noise; an image's noise depends on the seed, its number and the draw alone. Draws of
            a distribution of levels are its own.
        context
            Shape ``(n, context_features)``; see `context_of`.
        first
            The number of images before these; or a key of every image, shape ``(n,)``, int64.
        exactness
            A number K of draws for one importance-weighted bound in place of the average: the log of the
            mean over K draws of noise, or of a distribution of levels. The more, the nearer to log p(x), in
            memory that hardly grows.

        Returns
        -------
        LowerBound
            In float64. The standard error is that of the average, NaN for a single draw, or by the delta
            method.

        Raises
        ------
        DataError
            If a value is no whole level of the model; names the image.
        UsageError
            If the shape is another, or the context does not fit.

        References
        ----------
        Burda, Grosse and Salakhutdinov 2016, Importance weighted autoencoders; Hoogeboom, Cohen and Tomczak
        2020, Learning discrete distributions by dequantization (importance-weighted dequantisation).
        https://arxiv.org/abs/1509.00519
        https://arxiv.org/abs/2001.11235
        """
        for name, count in (("draws", draws), ("exactness", exactness)):
            if count is not None:
                check_count(name, count)
        seed = checked_seed(seed)
        check_levels(x, self.levels, 0 if isinstance(first, Tensor) else first)
        source = Noise(seed, first)
        values = [torch.zeros(0, dtype=torch.float64)]
        errors = [torch.zeros(0, dtype=torch.float64)]
        training = self.training
        self.eval()
        try:
            for i in range(0, len(x), _CHUNK):
                bound = self.dequantisation.log_prob_lower(
                    self.flow,
                    self.preprocessing,
                    x[i : i + _CHUNK].to(self._like()),
                    _rows(context, i, i + _CHUNK),
                    source.of_part(i, _CHUNK),
                    draws,
                    exactness,
                )
                values.append(bound.log_prob.cpu())
                errors.append(bound.standard_error.cpu())
        finally:
            self.train(training)
        return LowerBound(torch.cat(values), torch.cat(errors))

    def score(
        self, source: Any, *, seed: int = 0, draws: int = 8, exactness: int | None = None
    ) -> Iterator[ScoredBatch]:
        """Score images, anything that `open_images` takes, in memory that does not grow with their number.

        Parameters
        ----------
        source
            The images.
        seed
            Of the draws.
        draws
            Draws of noise per image, where there is noise.
        exactness
            As in `log_prob_lower`.

        Raises
        ------
        DataError
            If the images have another shape, levels or, for a model of classes, no labels.
        """
        own = self.dequantisation.own_draws(draws)
        for start, x, context in self._batches(source):
            bound = self.log_prob_lower(x, own, seed, context, start, exactness=exactness)
            yield ScoredBatch(start=start, bound=bound, kind=self.kind, unit=self.unit)

    @torch.no_grad()
    def evaluate(
        self, source: Any, *, seed: int = 0, draws: int = 1, exactness: int | None = None
    ) -> Evaluation:
        """Return the mean bits per dimension of images and its standard error, beside the baselines.

        Parameters
        ----------
        source, seed, draws, exactness
            As in `score`.
        """
        baselines = cast(Mapping[str, Distribution], self.baselines)
        tally = Tally(baselines, self.unit)
        own = self.dequantisation.own_draws(draws)
        for start, x, context in self._batches(source):
            bound = self.log_prob_lower(x, own, seed, context, start, exactness=exactness)
            others = {name: other.log_prob(x).double().cpu() for name, other in baselines.items()}
            tally.add(bound.log_prob, others)
        return tally.evaluation(self.kind, own if exactness is None else None, exactness)

    @torch.no_grad()
    def sample(self, n: int, context: Tensor | None = None, seed: int | None = None) -> Tensor:
        """Draw images of whole levels, shape ``(n, C, H, W)``, uint8, or int32 of more than 256 levels.

        With a seed, image i depends only on the seed and i. A context is ``(n, context_features)`` or
        ``(context_features,)``; see `context_of`.
        """
        n = checked_count(n)
        self.check_context(context, (n,))
        blocks = sample_blocks(self.flow, n, SAMPLED_AT_ONCE, context, seed=seed)
        parts = [self.preprocessing.inverse(z)[0] for z in blocks]
        y = torch.cat(parts) if parts else torch.empty(0, *self.event_shape)
        levels = torch.uint8 if self.levels <= 256 else torch.int32
        return y.floor().clamp(0, self.levels - 1).to(levels)

    def beside(self, baselines: Mapping[str, Distribution]) -> ImageModel:
        """Return a model of the same parts that `evaluate` puts beside simple distributions of the images."""
        return ImageModel(
            self.flow,
            self.levels,
            self.dequantisation,
            self.preprocessing,
            classes=self.classes,
            baselines=baselines,
        )

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
        """Set the flow's data-dependent statistics from some of the images, once."""
        step = max(1, len(x) // _START_ROWS)
        x, context = x[::step], None if context is None else context[::step]
        x = x.to(self._like().dtype)
        u, _ = self.dequantisation.noise(x, Noise(0))
        initialise = getattr(self.flow, "initialise", None)
        if initialise is not None:
            initialise(self.preprocessing.forward(x + u)[0], context)

    def _log_weight(self, x: Tensor, context: Tensor | None, source: Noise) -> Tensor:
        x = x.to(self._like())
        return self.dequantisation.log_weight(self.flow, self.preprocessing, x, context, source)

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
