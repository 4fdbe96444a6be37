"""Images on the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from logpx.cli.output import Output, nats
from logpx.cli.requests import FitRequest, Fitted, Request
from logpx.cli.subject import Subject
from logpx.errors import UsageError
from logpx.wording import counted

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

    from logpx.images import ImageModel, Images
    from logpx.scoring import ScoredBatch

__all__ = ["ImageSubject"]


class ImageSubject(Subject):
    """Arrays, idx files, folders of PNG and JPEG files, and data sets with a name."""

    name = "images"
    rows = "images"
    read = "the images being read"
    foreign = ("columns", "schema", "missing", "decimal", "components", "trials", "weights", "all_rows")
    foreign_to = "tables"

    def recognises(self, source: str) -> bool:
        """Accept a source that one of the image formats recognises."""
        from logpx.images import holds_images

        return holds_images(source)

    def knows(self, model: Any) -> bool:
        """Tell whether a model is an `ImageModel`."""
        from logpx.images import ImageModel

        return isinstance(model, ImageModel)

    def open(self, request: Request, out: Output) -> Images:
        """Open images."""
        from logpx.images import open_images

        return open_images(request.source, data=request.data)

    def files(self, source: Images) -> Iterable[str | None]:
        """Return the file or folder of the images, and the file of the first one."""
        return [source.file, source.place(0).file]

    def check_model(self, request: FitRequest) -> None:
        """Refuse unknown models, and options that the model does not take."""
        from logpx.images import IMAGE_FAMILIES

        IMAGE_FAMILIES.check_options(
            request.model, {"dequantisation": request.dequantisation, "latent": request.latent}
        )

    def fit(self, request: FitRequest, out: Output) -> Fitted:
        """Train a flow or a VAE."""
        from logpx.images import fit_images

        result = fit_images(
            request.source,
            request.model,
            conditional=request.conditional,
            levels=request.levels,
            data=request.data,
            dequantisation=request.dequantisation,
            **request.arguments(out),
        )
        summary = [f"{result.family}, {counted(result.training.history[-1].step, 'step')}"]
        if result.bits_per_dimension is not None:
            value = nats(result.bits_per_dimension, result.standard_error)
            heading = result.model.unit.heading(result.model.kind)
            summary.append(f"{counted(result.validation_rows, 'image')} set aside: {value} {heading}")
        summary += [] if result.verdict is None else result.verdict.sentences
        return Fitted(
            model=result.model,
            metrics={"source": request.source, **result.to_dict()},
            document={},
            notes=[f"note: {note}" for note in result.notes],
            summary=summary,
        )

    def score_schema(self, model: ImageModel) -> pa.Schema:
        """Return columns for the file and number of every image, and for its scores."""
        import pyarrow as pa

        numbers = ("log_prob_lower", "log_prob_se", "bits_per_dimension")
        places = [("file", pa.string()), ("image", pa.int64())]
        return pa.schema([*places, *((name, pa.float64()) for name in numbers)])

    def score_columns(self, source: Images, batch: ScoredBatch) -> dict[str, Any]:
        """Return the bound of every image, with its file and number."""
        places = [source.place(batch.start + index) for index in range(len(batch.log_prob))]
        return {
            "file": [place.file for place in places],
            "image": [place.row or 1 for place in places],
            "log_prob_lower": batch.log_prob,
            "log_prob_se": batch.bound.standard_error.numpy(),
            "bits_per_dimension": batch.bits_per_dimension.numpy(),
        }

    def score(self, model: ImageModel, request: Request, out: Output) -> None:
        """Write log p of every image."""
        _refuse_columns(request)
        super().score(model, request, out)

    def sample(self, model: ImageModel, n: int, labels: str | None, request: Request, out: Output) -> None:
        """Write new images: a grid as .png, or all of them as .npz."""
        _refuse_columns(request)
        from logpx.images.writing import check_images_target, write_images

        if request.output == "-":
            raise UsageError("images cannot go to stdout", fix="name a file: -o samples.png, or .npz")
        check_images_target(request.output, request.overwrite)
        chosen = _labels(model, n, labels)
        context = None if chosen is None else model.context_of(chosen)
        images = model.sample(n, context, seed=request.seed)
        write_images(images, request.output, model.levels, chosen, request.overwrite)
        out.note(counted(n, "image"))
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


def _labels(model: ImageModel, n: int, labels: str | None) -> Tensor | None:
    """Return the class of every image to draw: the requested one, or each in turn."""
    import torch

    if labels is None:
        return torch.arange(n) % model.context_features if model.context_features else None
    names = model.classes or []
    if labels not in names:
        fix = f"choose one of {', '.join(names)}" if names else "leave --label out"
        raise UsageError(f"the model has no class {labels!r}", fix=fix)
    return torch.full((n,), names.index(labels))


def _refuse_columns(request: Request) -> None:
    """Refuse options that name columns."""
    for option in ("target", "given", "check"):
        if getattr(request, option):
            raise UsageError(f"--{option} is for tables, not for images", fix=f"leave --{option} out")
