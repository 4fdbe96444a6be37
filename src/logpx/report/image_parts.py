"""The report on a model of images."""

from __future__ import annotations

import math
import os
from typing import Any

import torch
from torch import Tensor

from logpx import plots
from logpx.errors import LogpxError
from logpx.images import ImageModel, Images, VariationalDequantisation, open_images
from logpx.latent import VAE
from logpx.report.common import baselines_grid, facts_of, training_figures, use_section, with_error
from logpx.report.drawing import Drawing
from logpx.report.parts import Figure, Report, Section, Verdict
from logpx.scoring import Evaluation
from logpx.storage import Details
from logpx.wording import counted

__all__ = ["image_report"]

_IMAGES, _SAMPLES, _NEAREST, _SEARCHED, _COSTED = 256, 48, 8, 20_000, 10
# Read at once.
_MOST_PIXELS = 1_000_000_000
_USE = (
    "score {model} new.npz -o scores.csv",
    "evaluate {model} test.npz",
    "sample {model} -n 64 -o samples.png",
)


def image_report(name: str, model: ImageModel, details: Details, data: str | None, seed: int = 0) -> Report:
    """Return the report on a model of images; arguments as for `table_report`.

    Raises
    ------
    DataError
        If images cannot be read, or are not of the model's size.
    """
    metrics, drawing = details.metrics, Drawing()
    new = (
        None if data is None else open_images(data).for_model(model.event_shape, model.levels, model.classes)
    )
    source = _source(model, metrics.get("source"), metrics.get("rows"))
    context = None
    if model.context_features:
        context = model.context_of(torch.arange(_SAMPLES) % model.context_features)
    samples = model.sample(_SAMPLES, context, seed=seed)
    quality, verdict = _quality(
        model, details, new if new is not None else source, drawing, seed, new is not None
    )
    sections = [
        Section(key="fitted", title="What was fitted", facts=facts_of(details, "images")),
        quality,
        _sampled(model, samples, source, drawing),
    ]
    notes = [] if data is not None or source is None else [f"compared with {metrics['source']}"]
    if new is None and source is None:
        notes.append("the images that the model was fitted to are not at hand: give images with --data")
    points = [str(note) for note in metrics.get("notes") or [] if note]
    limits = "Simple images score high whatever the model: bits per dimension compare models, not images."
    sections.append(Section(key="limits", title="Limits and notes", text=[limits], points=points))
    sections.append(use_section(name, details, _USE, _options(model)))
    channels, height, width = model.event_shape
    return Report(
        title=name,
        subtitle=(
            f"A density of images of {channels} × {height} × {width} pixels with "
            f"{counted(model.levels, 'level')}."
        ),
        verdict=verdict,
        sections=sections,
        notes=notes,
    )


def _options(model: ImageModel) -> list[str]:
    """Return the options of ``logpx fit`` that a model shows."""
    options = []
    if model.context_features:
        options.append("--conditional")
    if isinstance(model.dequantisation, VariationalDequantisation):
        options.append("--dequantisation variational")
    if isinstance(model.flow, VAE):
        options.append(f"--latent {model.flow.prior.event_shape[0]}")
    return options


def _source(model: ImageModel, source: Any, count: Any) -> Images | None:
    if not isinstance(source, str) or source == "-" or not os.path.exists(source):
        return None
    try:
        images = open_images(source)
        return (
            None
            if images.count != count
            else images.for_model(model.event_shape, model.levels, model.classes)
        )
    except LogpxError:
        return None


def _some(images: Images, most: int) -> tuple[Tensor, list[Any]]:
    """Return images from all over a source, and their labels."""
    step = max(1, images.count // most)
    places = torch.arange(0, images.count, step)[:most]
    pixels = images.read()[places]
    labels = [] if images.labels is None else [int(images.labels[int(place)]) for place in places]
    return pixels, labels


def _quality(
    model: ImageModel, details: Details, images: Images | None, drawing: Drawing, seed: int, fresh: bool
) -> tuple[Section, Verdict]:
    figures: list[Figure] = training_figures(drawing, details.metrics, "images")
    if images is None:
        return Section(key="quality", title="How well it fits", figures=figures), _of_the_fit(details)
    pixels, labels = _some(images, _IMAGES)
    context = model.context_of(labels) if model.context_features and labels else None
    bound = model.log_prob_lower(pixels, seed=seed, context=context)
    bits = model.unit.bits_per_dimension(bound.log_prob)
    if model.context_features and context is None:
        evaluation = None
    else:
        evaluation = model.evaluate(_as_source(pixels, labels, model), seed=seed)
    kind = "new images" if fresh else "images of the fit"
    what = f"{len(pixels):,} {kind}"
    groups = {kind: -bits}
    figures.append(
        drawing.figure(
            "What images cost",
            lambda ax: plots.plot_log_prob(groups, kind=model.kind, unit="minus bits per dimension", ax=ax),
            caption="Minus bits per dimension of each image: the most costly on the left.",
        )
    )
    order = bits.argsort(descending=True)
    extremes = torch.cat([pixels[order[:12]], pixels[order[-12:]]])
    figures.append(
        drawing.figure(
            "The most and the least costly images",
            lambda ax: plots.plot_images(extremes, levels=model.levels, across=12, ax=ax),
            caption="Upper line: the most costly of these images. Lower line: the cheapest.",
            size=(9.2, 1.9),
            wide=True,
        )
    )
    cost = _pixel_cost(model, extremes[:_COSTED])
    if cost is not None:
        figures.append(
            drawing.figure(
                "What pixels cost",
                lambda ax: plots.plot_pixel_cost(cost, image=extremes[:_COSTED], levels=model.levels, ax=ax),
                caption="Bits of each pixel given the mean of the latent representation, for the most costly "
                "images.",
                size=(9.2, 2.4),
                wide=True,
            )
        )
    grids = [] if evaluation is None else [baselines_grid(evaluation, what)]
    section = Section(key="quality", title="How well it fits", figures=figures, grids=grids)
    return section, _verdict(evaluation, what, fresh, details)


@torch.no_grad()
def _pixel_cost(model: ImageModel, pixels: Tensor) -> Tensor | None:
    """Return the bits of each pixel given z, if the model has such a part; a flow has none."""
    if not isinstance(model.flow, VAE) or model.context_features:
        return None
    y = model.preprocessing.forward(pixels.to(model.flow._like().dtype))[0]
    cells = model.flow.likelihood(model.flow.posterior(y).mean)
    return -cells.log_prob_of_cells(y) / math.log(2.0)


def _as_source(pixels: Tensor, labels: list[Any], model: ImageModel) -> Images:
    opened = open_images(pixels.numpy(), labels=labels or None, levels=model.levels)
    return opened


def _verdict(evaluation: Evaluation | None, what: str, fresh: bool, details: Details) -> Verdict:
    if evaluation is None:
        return _of_the_fit(details)
    mean = f"{with_error(evaluation.value, evaluation.standard_error)} bits per dimension on {what}"
    reasons = (
        [] if fresh else ["most of these images are those that it was fitted to: give others with --data"]
    )
    gains = {name: one for name, one in evaluation.baselines.items() if math.isfinite(one.gain)}
    if not gains:
        return Verdict(
            level="unknown", sentence=f"There is no baseline to compare with; {mean}.", reasons=reasons
        )
    name, least = min(gains.items(), key=lambda item: item[1].gain)
    shown = with_error(abs(least.gain), least.gain_standard_error)
    if least.gain > 2.0 * least.gain_standard_error:
        level = "good" if fresh else "caution"
        sentence = f"Better than every baseline, by {shown} bits over the nearest, {name}; {mean}."
    elif least.gain > -2.0 * least.gain_standard_error:
        level, sentence = "caution", f"No better than {name}; {mean}."
    else:
        level, sentence = "poor", f"Worse than {name}, by {shown} bits; {mean}."
    return Verdict(level=level, sentence=sentence, reasons=reasons)


def _of_the_fit(details: Details) -> Verdict:
    metrics = details.metrics
    if metrics.get("bits_per_dimension") is None:
        sentence = "Nothing is known of how well it fits: no images were at hand."
    else:
        bits = with_error(metrics["bits_per_dimension"], metrics.get("standard_error"))
        sentence = f"No images were at hand; at the fit, images set aside cost {bits} bits per dimension."
    return Verdict(level="unknown", sentence=sentence, reasons=["give images with --data"])


def _sampled(model: ImageModel, samples: Tensor, source: Images | None, drawing: Drawing) -> Section:
    levels = model.levels
    figures = [
        drawing.figure(
            "Samples",
            lambda ax: plots.plot_images(samples, levels=levels, across=16, ax=ax),
            caption="Drawn from the model, not chosen."
            + ("" if model.classes is None else " Classes follow each other."),
            size=(9.2, 2.0),
            wide=True,
        )
    ]
    if source is not None and source.count * math.prod(model.event_shape) < _MOST_PIXELS:
        training = source.read()[:: -(-source.count // _SEARCHED)]
        among = "" if len(training) == source.count else f" Among {len(training):,} of them."
        figures.append(
            drawing.figure(
                "Nearest training images",
                lambda ax: plots.plot_nearest(samples[:_NEAREST], training, levels=levels, ax=ax),
                caption=f"A model that repeats its training images has learnt them by heart.{among}",
                size=(9.2, 2.6),
                wide=True,
            )
        )
    return Section(key="samples", title="Samples", figures=figures)
