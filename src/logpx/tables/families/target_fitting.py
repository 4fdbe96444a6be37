"""Fits of autoregressive models of tables for one column of numbers given all others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from logpx.distributions import Distribution, OrderAgnostic, TargetLast
from logpx.distributions.columns import CentredColumn, ColumnDistribution
from logpx.distributions.private_randomness import current_generator
from logpx.distributions.seeding import part_seed, seeded
from logpx.distributions.target_last import SQUARES
from logpx.nets.forest import Forest
from logpx.nets.visible import uniforms
from logpx.tables.families.family import Budget
from logpx.tables.families.settings import Value

__all__ = ["target_last"]

_TREES = 40
# Shares of the time for the columns other than the target, and for the target's networks together.
_JOINT_SHARE, _TARGET_SHARE = 0.15, 0.75
# Few rows are soon learnt: several networks then say more than one.
_FEW_ROWS, _NETWORKS = 5000, 3
_HIDDEN_SHARE = 0.1
# Deviations of a normal distribution in its central 90 %, and how far from its middle values are predicted.
_NINETY_PERCENT, _FARTHEST = 3.29, 6.0
# Of features that are kept for all rows.
_MOST_NUMBERS = 30_000_000


class _TargetTraining(Distribution):
    """What gradient descent sees of one network: the target, what was predicted of it, and features.

    In training mode, random columns of a few rows are hidden, so that given cells may be missing.
    """

    allows_constants = True
    allows_missing = True
    gains_from_noise = False

    def __init__(self, model: TargetLast, number: int, columns: int) -> None:
        super().__init__(columns)
        self.model, self.number = model, number
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in model.nets[number].parameters():
            parameter.requires_grad_(True)

    @staticmethod
    def rows(model: TargetLast, x: Tensor, predictions: Tensor) -> Tensor:
        """Return rows to train on; if they are many, features are found for each batch instead."""
        seen = x
        if len(x) * len(model.owners) < _MOST_NUMBERS:
            seen = model.features(x, predictions)
        return torch.cat([x[:, [model.target]], predictions, seen], 1)

    def _like(self) -> Tensor:
        return self.model._like()

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p of the target given the other cells, shape ``(n,)``; 0 where it is missing."""
        model, target, predictions, seen = self.model, x[:, 0], x[:, 1:3].double(), x[:, 3:]
        if seen.shape[1] != len(model.owners):
            seen = model.features(seen, predictions)
        generator = current_generator(x.device)
        if self.training:
            share = torch.rand(len(x), 1, generator=generator, device=x.device) / _HIDDEN_SHARE
            hidden = torch.rand(len(x), len(model.wanted), generator=generator, device=x.device) > share
            hidden &= ~model.wanted
            predictions = predictions.masked_fill(hidden.any(1, keepdim=True), math.nan)
            seen = model.hide(seen, hidden)
        raw = model.numbers(
            self.number, seen.float(), predictions, uniforms(generator) if self.training else None
        )
        found = model.own.log_prob(
            raw if self.training else raw.double(), target.double().nan_to_num(nan=0.0)
        )
        return torch.where(target.isnan(), 0.0, found).to(x.dtype)


def target_last(
    joint: OrderAgnostic,
    own: ColumnDistribution,
    rows: tuple[Tensor, Tensor],
    budget: Budget,
    settings: Mapping[str, Value],
    train: Callable[[Distribution, Tensor, Tensor, Budget], object],
) -> TargetLast:
    """Return a model in which the target comes last, after a forest and networks of its own.

    Parameters
    ----------
    joint
        A model of all columns, not yet trained.
    own
        What the target can be.
    rows
        Training and validation rows in table units.
    budget
        Its target is one column.
    settings
        Sizes of networks.
    train
        Trains by gradient descent.
    """
    (target,), (training, validation) = budget.target, rows
    joint.initialise(training)
    there = ~training[:, target].isnan()
    own.initialise(training[there, target].double())
    forest, unseen, standard = _forest(own, training, target, budget)
    few = budget.effective_rows < _FEW_ROWS
    with seeded(budget.seed):
        model = TargetLast(
            joint,
            target,
            forest,
            own,
            networks=_NETWORKS if few else 1,
            width=int(settings["width"]),
            blocks=int(settings["blocks"]),
            dropout=float(settings["dropout"]),
        )
    model.standard.copy_(standard)
    model.holed.copy_(training.isnan().any(0))
    predictions = model.predicted(training)
    predictions[there] = model.in_units(unseen)
    if isinstance(own, CentredColumn):
        own.initialise_near(training[there, target].double(), predictions[there])
    known = _TargetTraining.rows(model, training, predictions)
    aside = _TargetTraining.rows(model, validation, model.predicted(validation))
    for number in range(len(model.nets)):
        part = replace(
            budget,
            seconds=budget.seconds * _TARGET_SHARE / len(model.nets),
            seed=part_seed(budget.seed, number),
            journal=budget.journal.part(f"target-{number}"),
        )
        train(_TargetTraining(model, number, known.shape[1]), known, aside, part)
    for parameter in joint.parameters():
        parameter.requires_grad_(True)
    train(joint, training, validation, replace(budget, seconds=budget.seconds * _JOINT_SHARE))
    return model.requires_grad_(True)


def _forest(
    own: ColumnDistribution, training: Tensor, target: int, budget: Budget
) -> tuple[Forest, Tensor, Tensor]:
    """Return a forest, what it predicts of rows that have a target, and what standardises the target."""
    there = ~training[:, target].isnan()
    u = own.units(training[there, target].double())  # type: ignore[operator]
    standard = _usual(u)
    y = ((u - standard[0]) / standard[1]).clamp(-_FARTHEST, _FARTHEST)
    others = [place for place in range(training.shape[1]) if place != target]
    forest, unseen = Forest.grown(
        training[there][:, others],
        torch.stack([y, SQUARES * y.square()], 1),
        trees=_TREES,
        seed=budget.seed,
        weights=None if budget.weights is None else budget.weights[there],
    )
    return forest, unseen, standard


def _usual(u: Tensor) -> Tensor:
    """Return the median of values and their spread without tails: a bound itself is far from all others."""
    low, middle, high = torch.quantile(u, torch.tensor([0.05, 0.5, 0.95], dtype=u.dtype)).tolist()
    spread = (high - low) / _NINETY_PERCENT or float((u - middle).abs().max()) or 1.0
    return torch.tensor([middle, spread], dtype=torch.float64)
