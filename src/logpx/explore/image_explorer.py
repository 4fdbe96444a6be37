"""Samples of an image model at a temperature, and the images that its latent space stands for."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from logpx.distributions import Distribution, Flow, StandardNormal
from logpx.errors import UsageError
from logpx.explore.asked import FARTHEST, MOST_LATENT, count_of, number_of, numbers_of
from logpx.explore.explorer import Explorer
from logpx.images import ImageModel
from logpx.images.model import SAMPLED_AT_ONCE
from logpx.latent import VAE
from logpx.scoring import sample_blocks

__all__ = ["ImageExplorer"]

_MOST_IMAGES = 64


class ImageExplorer(Explorer):
    """Answers for a model of images.

    Parameters
    ----------
    model
        The model.
    seed
        Seed of the noise, if a question has none.
    """

    def __init__(self, model: ImageModel, seed: int = 0) -> None:
        self.model, self.seed = model, seed
        own: Distribution = model.flow
        self._base: StandardNormal | None = None
        if isinstance(own, Flow) and isinstance(own.base, StandardNormal):
            self._base, self._transform = own.base, own.transform
        self._autoencoder = own if isinstance(own, VAE) else None
        self.questions = {"images": self.images}
        if self._autoencoder is not None:
            self.questions = {**self.questions, "latent": self.latent}

    def describe(self) -> dict[str, Any]:
        """Return the shape of images, and what the model can answer."""
        latent = 0 if self._autoencoder is None else min(self._autoencoder.latent, MOST_LATENT)
        return {
            "kind": "images",
            "what": self.model.kind,
            "shape": list(self.model.event_shape),
            "levels": self.model.levels,
            "classes": self.model.classes or [],
            "temperature": self._base is not None,
            "latent": latent,
            "notes": [],
        }

    @torch.no_grad()
    def images(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return samples.

        Parameters
        ----------
        given
            ``n``, ``seed``; ``temperature``, for flows: noise is drawn with this standard deviation, 1 is the
            model itself; ``class``: the number of the class, for conditional models.
        """
        n, seed = count_of(given, "n", _MOST_IMAGES), count_of(given, "seed", 2**31, least=0)
        temperature = number_of(given, "temperature", 0.0, 2.0, 1.0)
        context = self._context(given, n)
        if self._base is None:
            if temperature != 1.0:
                raise UsageError("the model has no temperature", fix="leave it at 1")
            return self._written(self.model.sample(n, context, seed))
        noise = torch.cat(list(sample_blocks(self._base, n, SAMPLED_AT_ONCE, seed=seed)))
        y, _ = self._transform.inverse(temperature * noise, context)
        return self._written(self._as_levels(y))

    @torch.no_grad()
    def latent(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the mean image of a place in latent space.

        Parameters
        ----------
        given
            ``z``: as many numbers as `describe` says, in units of the prior's deviation; ``class``.
        """
        autoencoder = self._autoencoder
        assert autoencoder is not None
        own = numbers_of(given, "z", min(autoencoder.latent, MOST_LATENT), FARTHEST)
        like = next(autoencoder.parameters())
        z = torch.zeros(1, autoencoder.latent, dtype=like.dtype, device=like.device)
        z[0, : len(own)] = torch.tensor(own, dtype=like.dtype)
        mean = autoencoder.likelihood(z, self._context(given, 1)).mean
        return self._written(self._as_levels(mean.view(1, *self.model.event_shape)))

    def _context(self, given: Mapping[str, Any], n: int) -> Tensor | None:
        classes = self.model.classes
        if classes is None:
            return None
        number = count_of(given, "class", len(classes) - 1, least=0)
        return self.model.context_of([number] * n)

    def _as_levels(self, y: Tensor) -> Tensor:
        x = self.model.preprocessing.inverse(y)[0]
        return x.floor().clamp(0, self.model.levels - 1)

    def _written(self, x: Tensor) -> dict[str, Any]:
        """Return images as bytes of 0 to 255, row by row, with the channels of a pixel together."""
        scaled = x.double() * (255.0 / (self.model.levels - 1))
        content = scaled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()
        return {
            "n": len(content),
            "height": content.shape[1],
            "width": content.shape[2],
            "channels": content.shape[3],
            "pixels": base64.b64encode(content.numpy().tobytes()).decode("ascii"),
        }
