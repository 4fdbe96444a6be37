"""Candidates for a table's density, and the choice among them by validation likelihood."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from logpx.distributions import Distribution, Mixture
from logpx.scoring import Ending, WeightedMean
from logpx.tables.families.settings import Value

__all__ = ["WORTHWHILE", "Candidate", "CandidateRecord", "choose", "stack"]

# What a stack has to gain over the best candidate, in nats per row.
WORTHWHILE = 0.005
_LEAST_SHARE = 0.01
_ROWS_TO_STACK = 50


@dataclass(frozen=True, kw_only=True)
class CandidateRecord:
    """The outcome of one candidate.

    Attributes
    ----------
    model : str
        The name of the family, or of the families that were stacked.
    scales : str
        ``standard`` (centred and scaled columns), ``chosen`` (per column, by held-out likelihood), or ``own``
        where the model takes cells as they are.
    validation, standard_error : float or None
        The mean log p per validation row, in nats and table units; None if the candidate failed.
    seconds : float
        Time taken.
    chosen : bool
        Whether it became the model.
    ended : str or None
        What ended the fit: see `logpx.scoring.Ending`; None if the candidate failed.
    note : str
        Why it failed, or a remark.
    """

    model: str
    scales: str
    seconds: float
    validation: float | None = None
    standard_error: float | None = None
    chosen: bool = False
    ended: str | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A fitted density with log p of every validation row.

    Attributes
    ----------
    model, scales, seconds
        As in `CandidateRecord`.
    ended : Ending
        What ended the fit; of several that are stacked, what left most to be done.
    density : Distribution
        A density in table units, of dequantised rows or of cells as they are.
    log_prob : Tensor
        Shape ``(n,)``, float64, in nats.
    note : str
        A remark.
    members : tuple of Candidate
        The candidates that are stacked.
    settings : dict
        The settings that it was fitted with, where they are not the usual ones.
    unfinished : bool or None
        Whether its likelihood was still rising when training ended; None where no gradient descent was.
    weights : Tensor or None
        How much each of the rows counts, shape ``(n,)``; None if all count alike.
    start : int
        Which of several fits of the same family it is, each from a start of its own.
    steps : tuple of (int, int, int) or None
        Of gradient descent, the step with the best likelihood, which was kept, the last one, and how many
        were planned; None without it, or of several runs.
    seconds_to_best : float
        How long that took.
    """

    model: str
    scales: str
    density: Distribution
    log_prob: Tensor
    seconds: float
    ended: Ending = Ending.CONVERGED
    note: str = ""
    members: tuple[Candidate, ...] = ()
    settings: Mapping[str, Value] = field(default_factory=dict)
    unfinished: bool | None = None
    weights: Tensor | None = None
    start: int = 0
    steps: tuple[int, int, int] | None = None
    seconds_to_best: float = 0.0

    @property
    def score(self) -> float:
        """The mean log p per validation row; minus infinity if any row is impossible."""
        mean = self._mean.value
        return mean if not math.isnan(mean) else -math.inf

    @property
    def _mean(self) -> WeightedMean:
        mean = WeightedMean()
        mean.add(self.log_prob, self.weights)
        return mean

    @property
    def parts(self) -> tuple[Candidate, ...]:
        """The components of a mixture, or else the candidate itself."""
        return self.members or (self,)

    def record(self, chosen: bool = False) -> CandidateRecord:
        """Return the summary of the candidate."""
        error = self._mean.standard_error if len(self.log_prob) > 1 else None
        return CandidateRecord(
            model=self.model,
            scales=self.scales,
            validation=self.score,
            standard_error=error,
            seconds=self.seconds,
            chosen=chosen,
            ended=self.ended.value,
            note=self.note,
        )


def choose(candidates: Sequence[Candidate], stacked: bool = True) -> Candidate:
    """Return the candidate with the highest validation likelihood, or a stack if it is better still."""
    best = max(candidates, key=lambda candidate: candidate.score)
    several = stack(candidates) if stacked else None
    return several if several is not None and several.score > best.score + WORTHWHILE else best


def stack(candidates: Sequence[Candidate]) -> Candidate | None:
    """Stack the candidates: average their densities with the weights that maximise the validation likelihood.

    An average of densities is a density. Its few weights are found by EM on the rows' log p alone.

    Parameters
    ----------
    candidates
        Densities of the same rows.

    Returns
    -------
    Candidate or None
        None if there are too few rows, or only one candidate gets a weight.

    References
    ----------
    Smyth and Wolpert 1999, Linearly combining density estimators via stacking.
    """
    if len(candidates) < 2 or len(candidates[0].log_prob) < _ROWS_TO_STACK:
        return None
    log_prob = torch.stack([candidate.log_prob for candidate in candidates], 1)
    rows = candidates[0].weights
    rows = torch.ones(len(log_prob), dtype=torch.float64) if rows is None else rows
    log_weights = torch.full((len(candidates),), -math.log(len(candidates)), dtype=torch.float64)
    for _ in range(200):
        joint = log_prob + log_weights
        possible = torch.isfinite(joint).any(1)
        shares = torch.softmax(joint[possible], 1)
        counted = rows[possible, None]
        log_weights = ((shares * counted).sum(0) / counted.sum()).clamp_min(1e-300).log()
    weights = log_weights.exp()
    kept = [index for index in range(len(candidates)) if weights[index] >= _LEAST_SHARE]
    if len(kept) < 2:
        return None
    weights = weights[kept] / weights[kept].sum()
    members = tuple(candidates[index] for index in kept)
    return Candidate(
        model=" + ".join(member.model for member in members),
        scales="several",
        density=Mixture([member.density for member in members], weights.tolist()),
        log_prob=torch.logsumexp(log_prob[:, kept] + weights.log(), 1),
        seconds=sum(member.seconds for member in members),
        ended=Ending.last_of(member.ended for member in members),
        note="stacked with weights " + ", ".join(f"{weight:.2f}" for weight in weights.tolist()),
        members=members,
        weights=candidates[0].weights,
        unfinished=_any_unfinished(members),
    )


def _any_unfinished(members: Sequence[Candidate]) -> bool | None:
    known = [member.unfinished for member in members if member.unfinished is not None]
    return any(known) if known else None
