"""Images on the command line."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from logpx.cli.output import Output, nats
from logpx.cli.subject import FitRequest, Fitted, Request, Subject
from logpx.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from logpx.images import ImageEvaluation, ImageModel, Images

__all__ = ["ImageSubject"]

_UNIT = "bits per dimension"


class ImageSubject(Subject):
    """Arrays, idx files, folders of PNG and JPEG files, and data sets with a name."""

    def recognises(self, source: str) -> bool:
        """Take what one of the formats of images recognises."""
        from logpx.images import holds_images

        return holds_images(source)

    def knows(self, model: Any) -> bool:
        """Know an `ImageModel`."""
        from logpx.images import ImageModel

        return isinstance(model, ImageModel)

    def check(self, request: FitRequest) -> None:
        """Refuse the options of tables, unknown models, and options that the model does not take."""
        from logpx.images.fitting.families import image_family_named
        from logpx.images.fitting.family import ImageOptions

        for name in ("columns", "schema", "components"):
            if getattr(request, name):
                raise UsageError(f"--{name} is for tables, not for images", fix=f"leave --{name} out")
        image_family_named(request.model).check(
            ImageOptions(dequantisation=request.dequantisation, latent=request.latent)
        )

    def fit(self, request: FitRequest, out: Output) -> Fitted:
        """Train a flow or a VAE."""
        from logpx.images import fit_images

        result = fit_images(
            request.source,
            request.model,
            validation=request.validation,
            conditional=request.conditional,
            levels=request.levels,
            data=request.data,
            dequantisation=request.dequantisation,
            latent=request.latent,
            max_time=request.time,
            seed=request.seed,
            report=out.note,
            progress=False if request.quiet else None,
            should_stop=request.should_stop,
            device=request.device,
        )
        summary = [f"{result.family}, {result.training.history[-1].step:,} steps"]
        if result.bits_per_dimension is not None:
            value = nats(result.bits_per_dimension, result.standard_error)
            summary.append(f"{result.validation_rows:,} images set aside: {value} {_UNIT}, an upper bound")
        notes = [f"note: {note}" for note in result.notes]
        return Fitted(result.model, {"source": request.source, **result.to_dict()}, {}, notes, summary)

    def score(self, model: ImageModel, request: Request, out: Output) -> None:
        """Write the bound of every image, with its file and number."""
        import pyarrow as pa

        from logpx.images import open_images
        from logpx.tables import open_writer
        from logpx.training.means import RunningMean

        images = open_images(request.source, data=request.data)
        _refuse_own_input(images, request.output)
        texts, numbers = {"file": pa.string(), "image": pa.int64()}, pa.float64()
        names = ["log_prob_lower", "log_prob_se", "bits_per_dimension"]
        schema = pa.schema([*texts.items(), *((name, numbers) for name in names)])
        mean, worst = RunningMean(), -math.inf
        with open_writer(request.output, schema, request.overwrite) as writer:
            scored = model.score(images, seed=request.seed, draws=request.draws, exactness=request.exactness)
            for batch in scored:
                bits = batch.bits_per_dimension
                places = [images.place(batch.start + index) for index in range(len(bits))]
                writer.write(
                    {
                        "file": [place.file for place in places],
                        "image": [place.row or 1 for place in places],
                        "log_prob_lower": batch.bound.log_prob.numpy(),
                        "log_prob_se": batch.bound.standard_error.numpy(),
                        "bits_per_dimension": bits.numpy(),
                    }
                )
                mean.add(bits)
                worst = max(worst, float(bits.max()))
        out.note(f"{mean.count:,} images, mean {nats(mean.value, mean.standard_error)} {_UNIT}")
        out.document(
            {
                "output": request.output,
                "rows": mean.count,
                "kind": model.kind,
                "columns": schema.names,
                "bits_per_dimension": mean.value,
                "standard_error": mean.standard_error,
                "highest": worst,
                "draws": request.draws,
                "exactness": request.exactness,
                "seed": request.seed,
            }
        )

    def sample(self, model: ImageModel, n: int, labels: str | None, request: Request, out: Output) -> None:
        """Write new images: a grid as .png, or all of them as .npz."""
        from logpx.images.writing import check_images_target, write_images

        if request.output == "-":
            raise UsageError("images cannot go to stdout", fix="name a file: -o samples.png, or .npz")
        check_images_target(request.output, request.overwrite)
        chosen = _labels(model, n, labels)
        context = None if chosen is None else model.context_of(chosen)
        images = model.sample(n, context, seed=request.seed)
        write_images(images, request.output, model.levels, chosen, request.overwrite)
        out.note(f"{n:,} images")
        out.document(
            {
                "output": request.output,
                "rows": n,
                "shape": list(model.event_shape),
                "levels": model.levels,
                "labels": None if chosen is None else chosen.tolist(),
                "seed": request.seed,
            }
        )

    def evaluate(self, model: ImageModel, request: Request, out: Output) -> None:
        """Print bits per dimension beside the baselines."""
        from logpx.images import open_images

        images = open_images(request.source, data=request.data)
        evaluation = model.evaluate(
            images, seed=request.seed, draws=request.draws, exactness=request.exactness
        )
        out.text(f"{evaluation.rows:,} images, {_UNIT}, upper bound (mean ± standard error)")
        out.table(_rows(evaluation))
        out.document({**evaluation.to_dict(), "unit": _UNIT, "seed": request.seed})


def _labels(model: ImageModel, n: int, labels: str | None) -> Tensor | None:
    """Return the class of every image to draw: the one that was asked for, or each in turn."""
    import torch

    if labels is None:
        return torch.arange(n) % model.context_features if model.context_features else None
    names = model.classes or []
    if labels not in names:
        fix = f"choose one of {', '.join(names)}" if names else "leave --label out"
        raise UsageError(f"the model knows no class {labels!r}", fix=fix)
    return torch.full((n,), names.index(labels))


def _refuse_own_input(images: Images, output: str) -> None:
    if images.file is not None and os.path.exists(output) and os.path.exists(images.file):
        own = {images.file, images.place(0).file or images.file}
        if any(os.path.exists(file) and os.path.samefile(file, output) for file in own):
            raise UsageError(
                "the output is a file of the images that are scored", file=output, fix="choose another name"
            )


def _rows(evaluation: ImageEvaluation) -> list[dict[str, str]]:
    first = {
        "model": "this model",
        _UNIT: nats(evaluation.bits_per_dimension, evaluation.standard_error),
        "this model saves": "",
    }
    others = [
        {
            "model": name,
            _UNIT: nats(other.bits_per_dimension, other.standard_error),
            "this model saves": nats(other.gain, other.gain_standard_error),
        }
        for name, other in evaluation.baselines.items()
    ]
    return [first, *others]
