"""From images to a fitted model: reading, dividing, training, baselines."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import torch

from logpx.distributions import Distribution
from logpx.distributions.seeding import checked_seed, seeded
from logpx.errors import UsageError
from logpx.images.fitting.baselines import fit_baselines
from logpx.images.fitting.families import IMAGE_FAMILIES
from logpx.images.fitting.family import ImageFamily, ImageOptions
from logpx.images.fitting.rows import Divided, divide_images
from logpx.images.model import ImageModel
from logpx.images.reading.images import Images
from logpx.images.reading.sources import open_images
from logpx.scoring import BitsPerDimension, Limits, ModelFitResult, ModelVerdict, Stopwatch, Tally
from logpx.training import FitResult, fit
from logpx.training.compiled import compile_choice
from logpx.training.device import usable_device
from logpx.training.history import HistoryRecord
from logpx.training.journal import journal_of
from logpx.training.progress import Display
from logpx.training.run_state import digest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ImageFitResult", "fit_images"]

_DEFAULT_SECONDS = 600.0
_ENDLESS = 10_000_000
# Images set aside on which a trained model is compared with its baselines.
_VERDICT_IMAGES = 256


@dataclass(frozen=True, kw_only=True, repr=False)
class ImageFitResult(ModelFitResult[ImageModel]):
    """A fitted model of images, and how it came about: a `logpx.scoring.ModelFitResult`, and more.

    Attributes
    ----------
    training : FitResult
        History and events of the training.
    family : str
        Which model.
    """

    training: FitResult
    family: str

    @property
    def bits_per_dimension(self) -> float | None:
        """Mean over the validation images, with one draw of noise that is fixed; None without such images."""
        mean = self.training.best_validation
        return None if mean is None else self.model.unit.value(mean)

    @property
    def standard_error(self) -> float | None:
        """The standard error of that mean; None without validation images."""
        error = self.training.best_validation_error
        return None if error is None else self.model.unit.difference(error)

    @property
    def headline(self) -> str:
        """What was fitted, and what images cost, in one line."""
        bits = self.bits_per_dimension
        error = f" ± {self.standard_error:.3f}" if self.standard_error is not None else ""
        cost = "no images set aside" if bits is None else f"{bits:.3f}{error} bits per dimension"
        return f"{self.family}, {cost}, ended: {self.training.stopped.value}"

    def plot_training(self, *, ax: Axes | None = None) -> Axes:
        """Plot how it was trained; see `logpx.plots.plot_training`."""
        return self.training.plot_training(ax=ax)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the model as JSON values."""
        values = super().to_dict()
        channels, height, width = self.model.event_shape
        last = self.training.history[-1]
        return values | {
            "bits_per_dimension": self.bits_per_dimension,
            "standard_error": self.standard_error,
            "chosen": {
                "model": self.family,
                "validation": self.training.best_validation,
                "standard_error": self.training.best_validation_error,
            },
            "images": {
                "channels": channels,
                "height": height,
                "width": width,
                "levels": self.model.levels,
                "classes": self.model.classes,
            },
            "steps": last.step,
            "epochs": last.epoch,
            "stopped": self.training.stopped.value,
            "training": [{"model": self.family, **self.training.summary()}],
        }


def fit_images(
    source: Any,
    model: str = "auto",
    *,
    validation: Any = None,
    conditional: bool = False,
    labels: Any = None,
    levels: int | None = None,
    data: Any = None,
    dequantisation: str | None = None,
    alpha: float | None = None,
    latent: int | None = None,
    max_time: float | None = None,
    max_steps: int | None = None,
    max_epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    report: Callable[[str], object] = lambda line: None,
    progress: Any = None,
    should_stop: Callable[[], bool] = lambda: False,
    device: torch.device | str = "cpu",
    compile: bool | str = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    every: float = 30.0,
) -> ImageFitResult:
    """Fit a flow or a VAE to images by maximum likelihood of a lower bound.

    Parameters
    ----------
    source
        Anything that `open_images` takes.
    model
        A name in `logpx.images.IMAGE_FAMILIES`; ``auto`` is ``realnvp``.
    validation
        Other images to stop by. By default a tenth is set aside, at most 2000.
    conditional
        Model p(x given class), with the labels of the source.
    labels, levels, data
        As in `open_images`.
    dequantisation
        Of a flow, ``uniform`` (the default) or ``variational``; a VAE needs none.
    alpha
        Of a flow, the margin of `LogitPixels`; by default 0.001 for grey and 0.05 for colour images.
    latent
        The number of latent dimensions of a VAE; 32 by default.
    max_time
        About how many seconds to take; 600 by default, unless `max_steps` or `max_epochs` is given.
    max_steps, max_epochs, batch_size, learning_rate, progress, should_stop
        As in `logpx.training.fit`, with the choices of the family by default.
    seed
        Of everything random.
    report
        Called with a line of text after each step.
    device
        Where to train; the model that is returned is on the CPU.
    compile
        As in `logpx.training.fit`. Models that draw noise in training are not compiled.
    checkpoint, resume, every
        A folder in which the fit is kept, a folder to go on with, and the seconds between checkpoints: as in
        `logpx.training.fit`.

    Raises
    ------
    DataError
        If the images cannot be read, or are of different sizes; before any training.
    DivergedError
        If training does not stay finite.
    UsageError
        If an argument cannot be meant, or the model cannot be built for images of that size.
    """
    limits = Limits.of(max_time, max_steps, max_epochs, usual_seconds=_DEFAULT_SECONDS)
    journal = journal_of(checkpoint, resume, every, should_stop, eager=False)
    watch = Stopwatch(limits.seconds)
    seed = checked_seed(seed)
    where = usable_device(device)
    compile_choice(compile)
    options = ImageOptions(dequantisation, alpha, latent)
    IMAGE_FAMILIES.check_options(model, asdict(options))
    (family,) = IMAGE_FAMILIES.named(model)
    images = open_images(source, labels=labels, levels=levels, data=data)
    classes = _classes(images, conditional)
    others = None if validation is None else _others(validation, data, images, classes)
    untrained = _untrained(family, images, classes, options, seed)
    divided = divide_images(images, others, len(classes or ()), seed)
    baselines = fit_baselines(divided.training, images.event_shape, images.levels)
    report(f"{images.describe()}; {divided.validation_rows:,} to stop by")
    rows, context = divided.training.read() if divided.resident else (divided.training, None)
    with journal.held(flush=limits.unfinished_by_time):
        asked = {**asdict(options), "model": model, "seed": seed, **limits.training(_ENDLESS)}
        journal.identify(_identity(untrained, divided, rows, asked), images.file)
        watch.count(journal.before)
        journal.limit(limits.seconds)
        training = journal.part("training")
        seconds, _ = training.allotted(max(1e-3, watch.left))
        trained = _trained(
            untrained,
            divided,
            family,
            (rows, context),
            batch_size=batch_size or family.batch_size,
            learning_rate=learning_rate or family.learning_rate,
            max_time=None if limits.repeatable else seconds,
            seed=seed,
            progress=_display(progress, family.name, images.event_shape),
            device=where,
            compile=limits.compiling(compile),
            should_stop=should_stop,
            checkpoint=training,
            **limits.training(_ENDLESS),
        )
    untrained.cpu()
    fitted = untrained.beside(baselines).eval()
    return ImageFitResult(
        model=fitted,
        training=trained,
        family=family.name,
        rows=images.count,
        train_rows=divided.train_rows,
        validation_rows=divided.validation_rows,
        seconds=watch.seconds,
        ended=limits.ending(trained),
        seed=seed,
        notes=_notes(family, trained, divided),
        verdict=_verdict(fitted, trained, divided),
    )


def _display(progress: Any, name: str, event_shape: Sequence[int]) -> Display:
    """Return how training is shown: in bits per dimension, as in the end."""
    unit = BitsPerDimension(event_shape)

    def words(record: HistoryRecord) -> str:
        return record.line(unit.value, unit.difference, unit.name)

    return Display(progress, name, words)


def _untrained(
    family: ImageFamily,
    images: Images,
    classes: list[str] | None,
    options: ImageOptions,
    seed: int,
) -> ImageModel:
    with seeded(seed):
        try:
            return family.model(images, classes, options)
        except UsageError as error:
            # A flow that does not suit images of this size does not know where they come from.
            error.file = images.file
            able = IMAGE_FAMILIES.fix(lambda other: other.any_size)
            error.fix = f"{error.fix}, or take {able}, for images of any size"
            raise


def _others(validation: Any, data: Any, images: Images, classes: list[str] | None) -> Images:
    opened = open_images(validation, data=data)
    return opened.for_model(images.event_shape, images.levels, classes)


def _trained(
    model: ImageModel, divided: Divided, family: ImageFamily, rows: tuple[Any, Any], **options: Any
) -> FitResult:
    """Train a model on rows and their context, with options of `logpx.training.fit`."""
    return fit(
        model,
        rows[0],
        divided.validation,
        context=rows[1],
        validation_context=divided.validation_context,
        validation_fraction=0.0,
        gradient_clip=family.gradient_clip,
        noise=0.0,
        **options,
    )


def _identity(model: ImageModel, divided: Divided, rows: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return what has to be the same for a fit to be gone on with."""
    given = [rows if isinstance(rows, torch.Tensor) else None, divided.validation]
    return {
        "arguments": options,
        "data": {
            "shape": list(model.event_shape),
            "levels": model.levels,
            "classes": model.classes,
            "images to train": divided.train_rows,
            "images to stop by": divided.validation_rows,
            "content": digest(given),
        },
    }


def _classes(images: Images, conditional: bool) -> list[str] | None:
    if not conditional:
        return None
    if images.classes is None or images.labels is None or images.labels.min() == images.labels.max():
        raise UsageError(
            "a model of classes needs images with labels of two classes or more",
            file=images.file,
            fix="give a source with labels, such as .npz with images and labels, or fit without classes",
        )
    return images.classes


def _verdict(model: ImageModel, trained: FitResult, divided: Divided) -> ModelVerdict | None:
    """Return how the model compares with its baselines on some of the images set aside; None without any."""
    if divided.validation is None:
        return None
    x = divided.validation[:_VERDICT_IMAGES]
    context = divided.validation_context
    bound = model.log_prob_lower(x, context=None if context is None else context[:_VERDICT_IMAGES])
    baselines = cast(Mapping[str, Distribution], model.baselines)
    tally = Tally(baselines, model.unit)
    with torch.no_grad():
        others = {name: other.log_prob(x).double() for name, other in baselines.items()}
    tally.add(bound.log_prob, others)
    measured = f"{len(x):,} of the images set aside"
    return ModelVerdict.of(tally.evaluation(model.kind), measured, unfinished=trained.still_rising)


def _notes(family: ImageFamily, trained: FitResult, divided: Divided) -> list[str]:
    notes = [family.note]
    if not trained.history[-1].step:
        notes.append("there was no time for a single step: the model is untrained; give it more time")
    if not divided.validation_rows:
        notes.append("too few images to set any aside: nothing says how good the model is on others")
    return notes
