"""From images to a fitted model: reading, dividing, training, baselines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from logpx.distributions.seeding import checked_seed
from logpx.errors import UsageError
from logpx.images.fitting.baselines import fit_baselines
from logpx.images.fitting.families import image_family_named
from logpx.images.fitting.family import ImageFamily, ImageOptions
from logpx.images.fitting.rows import Divided, divide_images
from logpx.images.model import ImageModel
from logpx.images.reading.images import Images
from logpx.images.reading.sources import open_images
from logpx.images.units import bits_per_dimension
from logpx.training import FitResult, fit
from logpx.training.device import usable_device

__all__ = ["ImageFitResult", "fit_images"]

_DEFAULT_SECONDS = 600.0
_ENDLESS = 10_000_000


@dataclass(frozen=True)
class ImageFitResult:
    """A fitted model of images, and how it came about.

    Attributes
    ----------
    model : ImageModel
        The model.
    training : FitResult
        History and events of the training.
    family : str
        Which model.
    rows, train_rows, validation_rows : int
        Images of the source, and images used to fit and to stop by.
    bits_per_dimension, standard_error : float or None
        Mean over the validation images with fixed draws (of noise one), and its standard error; None
        without such images.
    seconds : float
        Time taken, the reading included.
    seed : int
        The seed.
    notes : list of str
        What the user should know.
    """

    model: ImageModel
    training: FitResult
    family: str
    rows: int
    train_rows: int
    validation_rows: int
    bits_per_dimension: float | None
    standard_error: float | None
    seconds: float
    seed: int
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the model as JSON values."""
        values = {name: value for name, value in vars(self).items() if name not in ("model", "training")}
        channels, height, width = self.model.event_shape
        return values | {
            "kind": self.model.kind,
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
            "steps": self.training.history[-1].step,
            "epochs": self.training.history[-1].epoch,
            "stopped": self.training.stopped.value,
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
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    report: Callable[[str], object] = lambda line: None,
    progress: Any = False,
    should_stop: Callable[[], bool] = lambda: False,
    device: torch.device | str = "cpu",
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
        About how many seconds to take; 600 by default, unless `max_steps` is given.
    max_steps, batch_size, learning_rate, progress, should_stop
        As in `logpx.training.fit`, with the choices of the family by default.
    seed
        Of everything random.
    report
        Called with a line of text after each step.
    device
        Where to train; the model that is returned is on the CPU.

    Raises
    ------
    DataError
        If the images cannot be read, or are of different sizes; before any training.
    DivergedError
        If training does not stay finite.
    UsageError
        If an argument cannot be meant, or the model cannot be built for images of that size.
    """
    start = time.monotonic()
    seed = checked_seed(seed)
    if max_time is not None and not max_time > 0.0:
        raise UsageError(f"max_time is {max_time}", fix="give a number of seconds above 0")
    where = usable_device(device)
    family, options = image_family_named(model), ImageOptions(dequantisation, alpha, latent)
    family.check(options)
    images = open_images(source, labels=labels, levels=levels, data=data)
    classes = _classes(images, conditional)
    others = None
    if validation is not None:
        opened = open_images(validation, data=data)
        others = opened.for_model(images.event_shape, images.levels, classes)
    shape = images.event_shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**64)
        fitted = family.model(images, classes, options)
    divided = divide_images(images, others, len(classes or ()), seed)
    baselines = fit_baselines(divided.training, shape, images.levels)
    held = 0 if divided.validation is None else len(divided.validation)
    report(f"{images.describe()}; {held:,} to stop by")
    left = None
    if max_time is not None or max_steps is None:
        budget = _DEFAULT_SECONDS if max_time is None else max_time
        left = max(1e-3, start + budget - time.monotonic())
    rows, context = divided.training.read() if divided.resident else (divided.training, None)
    trained = fit(
        fitted,
        rows,
        divided.validation,
        context=context,
        validation_context=divided.validation_context,
        validation_fraction=0.0,
        batch_size=batch_size or family.batch_size,
        learning_rate=learning_rate or family.learning_rate,
        gradient_clip=family.gradient_clip,
        max_steps=max_steps or _ENDLESS,
        max_time=left,
        noise=0.0,
        seed=seed,
        progress=progress,
        device=where,
        should_stop=should_stop,
    )
    fitted.cpu()
    finished = ImageModel(
        fitted.flow, images.levels, fitted.dequantisation, fitted.preprocessing, classes, baselines
    )
    finished.eval()
    return _result(finished, trained, family, images, divided, held, time.monotonic() - start, seed)


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


def _result(
    model: ImageModel,
    trained: FitResult,
    family: ImageFamily,
    images: Images,
    divided: Divided,
    held: int,
    seconds: float,
    seed: int,
) -> ImageFitResult:
    bits = error = None
    if trained.best_validation is not None and trained.best_validation_error is not None:
        bits = bits_per_dimension(trained.best_validation, model.event_shape)
        error = -bits_per_dimension(trained.best_validation_error, model.event_shape)
    notes = [family.note]
    if not trained.history[-1].step:
        notes.append("there was no time for a single step: the model is untrained; give it more time")
    if not held:
        notes.append("too few images to set any aside: nothing says how good the model is on others")
    return ImageFitResult(
        model,
        trained,
        family.name,
        images.count,
        divided.train_rows,
        held,
        bits,
        error,
        seconds,
        seed,
        notes,
    )
