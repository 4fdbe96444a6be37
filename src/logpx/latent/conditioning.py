"""Missing cells of rows: their conditional distributions, means and draws, under normal components."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from logpx.distributions.seeding import checked_count, draw_rows
from logpx.errors import UsageError
from logpx.latent.gaussian_components import GaussianComponents
from logpx.latent.moments import Conditionals, grouped
from logpx.transforms.base import check_event

__all__ = ["conditional_rows", "impute"]

_CHUNK_ROWS = 4096
_Joint = Callable[[Tensor], Tensor]


@torch.no_grad()
def conditional_rows(parts: GaussianComponents, joint: _Joint, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for every row the distribution of its missing cells, given the others.

    Parameters
    ----------
    parts
        The components.
    joint
        From rows to the log of weight times density under each component, shape ``(K, n)``.
    x
        Shape ``(n, D)``.

    Returns
    -------
    logits : Tensor
        Of the components, shape ``(n, K)``.
    means : Tensor
        Shape ``(n, K, D)``; of cells that are there, their value.
    covariances : Tensor
        Shape ``(n, K, D, D)``; 0 in rows and columns of cells that are there.
    """
    rows, features = x.shape
    means = x.new_empty(rows + 1, parts.components, features)
    covariances = x.new_empty(rows + 1, parts.components, features, features)
    for places, conditionals, filled in _conditionals(parts, x):
        means[places] = (filled + parts.means.double()).to(x)
        covariances[places] = conditionals.covariances().to(x)[:, None].expand(*places.shape, -1, -1, -1)
    return joint(x).mT, means[:-1], covariances[:-1]


def impute(
    parts: GaussianComponents, joint: _Joint, x: Tensor, draws: int | None, seed: int | None
) -> Tensor:
    """Fill in missing cells, as `GaussianMixture.impute` says."""
    check_event(x, (parts.features,))
    if draws is None:
        starts = range(0, len(x), _CHUNK_ROWS)
        return torch.cat([x[:0], *(_means(parts, joint, x[start : start + _CHUNK_ROWS]) for start in starts)])
    if checked_count(draws) < 1:
        raise UsageError(f"{draws} draws", fix="draw once or more, or leave draws out for the means")
    return _draws(parts, joint, x, draws, seed)


@torch.no_grad()
def _means(parts: GaussianComponents, joint: _Joint, x: Tensor) -> Tensor:
    shares = torch.softmax(joint(x).double(), 0)
    result = torch.cat([x, x[:1]])
    for places, _, filled in _conditionals(parts, x):
        values = (filled + parts.means.double()) * shares[:, places].permute(1, 2, 0).unsqueeze(-1)
        result[places] = values.sum(-2).to(x)
    return torch.where(x.isnan(), result[:-1], x)


@torch.no_grad()
def _draws(parts: GaussianComponents, joint: _Joint, x: Tensor, draws: int, seed: int | None) -> Tensor:
    rows, features = x.shape
    # One uniform number for the component and one normal number for every cell, of each row and draw.
    noise = draw_rows(
        draws * rows,
        seed,
        x,
        lambda n, generator, device: torch.cat(
            [
                torch.rand(n, 1, generator=generator, device=device, dtype=torch.float64),
                torch.randn(n, features, generator=generator, device=device, dtype=torch.float64),
            ],
            1,
        ),
    ).view(draws, rows, features + 1)
    edges = torch.softmax(joint(x).double(), 0).cumsum(0)[:-1].mT
    chosen = (noise[..., :1] >= edges).sum(-1)
    result = x.double().expand(draws, -1, -1)
    result = torch.cat([result, result[:, :1]], 1)
    for places, conditionals, filled in _conditionals(parts, x):
        missing = ~conditionals.present
        identity = torch.diag_embed((~missing).double())[:, None]
        factors = torch.linalg.cholesky(conditionals.covariances() + identity)
        means = filled + parts.means.double()
        pattern = torch.arange(len(places), device=x.device)[:, None].expand_as(places)
        for draw in range(draws):
            component = chosen[draw][places]
            centre = means.gather(-2, component[..., None, None].expand(*places.shape, 1, features)).squeeze(
                -2
            )
            own = noise[draw, :, 1:][places] * missing[:, None]
            spread = torch.einsum("prij,prj->pri", factors[pattern, component], own)
            result[draw, places] = centre + spread
    return torch.where(x.isnan(), result[:, :-1].to(x), x)


def _conditionals(parts: GaussianComponents, x: Tensor) -> Iterator[tuple[Tensor, Conditionals, Tensor]]:
    """Yield each group's rows (-1 pads), its conditionals, and the filled deviations ``(P, R, K, D)``."""
    missing = x.isnan()
    values = x.double().masked_fill(missing, 0.0)
    means, matrices = parts.means.detach().double(), parts.matrices().detach()
    for group in grouped(~missing, parts.components * parts.features**2):
        conditionals = Conditionals(means, matrices, group.present)
        filled = conditionals.filled(conditionals.deviations(values[group.rows]))
        yield group.rows, conditionals, filled.transpose(1, 2)
