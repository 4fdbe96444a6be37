"""A fit or an update on the command line, from the request to the model folder, begun or gone on with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from logpx.cli.interruption import Stop
from logpx.cli.output import Output
from logpx.cli.requests import FitRequest, Fitted, UpdateRequest, request_of
from logpx.cli.subjects import subject_of
from logpx.cli.updating import updated_model
from logpx.errors import LogpxError, ResourceError, UsageError

if TYPE_CHECKING:
    from logpx.storage.runs import KeptFit, KeptFits

__all__ = ["STOPPED_EARLY", "Fitting"]

# As for sysexits' EX_TEMPFAIL: try again, and it goes on.
STOPPED_EARLY = 75


KeptWork = FitRequest | UpdateRequest


@dataclass(kw_only=True)
class Fitting:
    """One fit or update, and the folder that it writes.

    Attributes
    ----------
    output : str
        The model folder, as it was given.
    out : Output
        Where to print.
    stop : Stop
        Whether a signal has asked to stop.
    overwrite : bool
        Whether a model that is there may be replaced.
    """

    output: str
    out: Output
    stop: Stop
    overwrite: bool = False

    @property
    def command(self) -> str:
        """What goes on with the fit."""
        return f"logpx resume {shlex.quote(self.output)}"

    def start(self, request: KeptWork, *, resume: bool) -> int:
        """Fit and write the model; return the exit status.

        Parameters
        ----------
        request
            The arguments.
        resume
            Whether to go on with an interrupted fit of the same arguments, if there is one.
        """
        if isinstance(request, FitRequest):
            subject_of(request.source).check(request)
        # After what is quickly refused: PyTorch is loaded here.
        from logpx.storage import check_target
        from logpx.storage.runs import KeptFits

        fits = KeptFits(Path(self.output).resolve())
        if not resume:
            try:
                check_target(self.output, overwrite=self.overwrite)
            except UsageError as error:
                last = fits.last()
                if last is not None and last.saved is not None:
                    error.fix = f"go on with its fit, which was interrupted: {self.command}; or {error.fix}"
                raise
        with fits.held():
            begun = fits.last()
            if resume and begun is not None:
                _require_same(request.to_dict(), begun.arguments, self.command)
                return self._go_on(request, fits, begun)
            check_target(self.output, overwrite=self.overwrite)
            if begun is not None and begun.has_progress:
                self.out.note(
                    f"note: logpx {begun.command} of this folder, begun {begun.since}, was interrupted: "
                    f"{self.command} goes on with it, until this one has ended"
                )
            kept = fits.begin(request.to_dict())
            try:
                with self._resumable():
                    fitted = self._fitted(request, kept)
            except LogpxError as error:
                if not isinstance(error, ResourceError):
                    fits.forget(kept)
                raise
            return self._save(request, fits, kept, fitted)

    def resume(self, time: float | None) -> int:
        """Go on with the last fit of the folder that was interrupted; return the exit status.

        Parameters
        ----------
        time
            How many seconds more to take; None for what is left.

        Raises
        ------
        UsageError
            If there is none.
        """
        from logpx.storage.runs import KeptFits
        from logpx.training.journal import seconds_of

        fits = KeptFits(Path(self.output).resolve())
        if not fits.path.is_dir():
            raise self._nothing()
        with fits.held():
            begun = fits.last()
            if begun is None:
                raise self._nothing()
            try:
                request = request_of(begun.arguments, quiet=self.out.quiet, should_stop=self.stop.requested)
            except TypeError as error:
                raise UsageError(
                    f"the fit was begun by another version of logpx ({error})",
                    file=fits.target,
                    fix="begin it again with logpx fit",
                ) from error
            spent = seconds_of(begun.journal)
            if time is not None:
                request = replace(request, time=spent + time)
            elif request.time is not None and begun.saved == "time":
                request = replace(request, time=spent + request.time)
            if not Path(begun.place).is_dir():
                raise UsageError(
                    "the folder in which the fit was begun is gone",
                    file=begun.place,
                    fix="begin it again with logpx fit",
                )
            with chdir(begun.place):
                return self._go_on(request, fits, begun)

    def _nothing(self) -> UsageError:
        return UsageError(
            "there is no interrupted fit of this folder",
            file=self.output,
            fix="begin one with logpx fit, or correct the path",
        )

    def _go_on(self, request: KeptWork, fits: KeptFits, begun: KeptFit) -> int:
        from logpx.storage import check_target

        saved = begun.saved is not None
        if saved and isinstance(request, UpdateRequest) and _is_in_place(request, fits.target):
            fits.clear()
            self.out.note(f"{self.output}: the update had ended, and its model is in place")
            self.out.document({"model": str(fits.target), "interrupted": False, "resume": None})
            return 0
        check_target(fits.target, overwrite=self.overwrite or saved)
        self.out.note(f"going on with the {request.command} that was begun {begun.since}")
        with self._resumable():
            fitted = self._fitted(replace(request, resume=str(begun.journal)), begun)
        return self._save(request, fits, begun, fitted)

    def _fitted(self, request: KeptWork, kept: KeptFit) -> Fitted:
        request = replace(request, checkpoint=str(kept.journal))
        if isinstance(request, UpdateRequest):
            return updated_model(request, self.out)
        return subject_of(request.source).fit(request, self.out)

    def _save(self, request: KeptWork, fits: KeptFits, kept: KeptFit, fitted: Fitted) -> int:
        from logpx.storage import save_or_keep

        self.stop.cancel()
        status, ended = self.stop.exit_code or 0, str(fitted.metrics["ended"])
        if not status and ended == "time" and request.is_counted:
            status = STOPPED_EARLY
        if fitted.model is None:
            self.out.note(f"interrupted: {self.output} was not written")
            self.out.note(f"go on with: {self.command}")
            self.out.document({"model": None, "interrupted": True, "resume": self.command})
            return status
        overwrite = self.overwrite or kept.saved is not None
        # On a full disk the model goes to another place, and nobody has to know that it is in this one.
        with suppress(ResourceError):
            kept.saves(ended)
        elsewhere = save_or_keep(
            fitted.model,
            fits.target,
            overwrite=overwrite,
            metrics=fitted.metrics,
            statistics=fitted.statistics,
            dated=bool(status) or not request.repeatable,
        )
        if elsewhere is not None or not status:
            fits.clear()
        if elsewhere is not None:
            raise elsewhere
        self._report(fits.target, fitted, status)
        return status

    def _report(self, target: Path, fitted: Fitted, status: int) -> None:
        out = self.out
        for note in fitted.notes:
            out.note(note)
        first, *rest = fitted.summary
        out.note(f"{self.output}: {first}")
        for line in rest:
            out.note(line)
        if status == STOPPED_EARLY:
            out.note("time was up before all steps were done: the best model so far was saved")
        elif status:
            out.note("interrupted: the best model so far was saved")
        if status:
            out.note(f"go on with: {self.command}")
        document = {
            "model": str(target),
            "interrupted": self.stop.requested(),
            "resume": self.command if status else None,
        }
        # The history of training is in the folder, and long.
        metrics = {name: value for name, value in fitted.metrics.items() if name != "training"}
        out.document({**document, **metrics, **fitted.document})

    @contextmanager
    def _resumable(self) -> Iterator[None]:
        """Say how to go on with a fit that ends without a model, unless it would end so again."""
        try:
            yield
        except BaseException as error:
            if isinstance(error, ResourceError) or not isinstance(error, LogpxError):
                self.out.note(f"go on with: {self.command}")
            raise


def _is_in_place(request: UpdateRequest, target: Path) -> bool:
    """Return whether an update of a folder in place was done: the model to update is then gone."""
    from logpx.storage import model_digest

    return Path(request.model).resolve() == target and model_digest(request.model) != request.digest


def _require_same(now: dict[str, Any], begun: dict[str, Any], command: str) -> None:
    kinds = [each.get("command", FitRequest.command) for each in (now, begun)]
    if kinds[0] != kinds[1]:
        raise UsageError(
            f"logpx {kinds[0]} was asked for, and what was interrupted here is logpx {kinds[1]}",
            fix=f"go on with {command}, or begin anew without --resume",
        )
    for name, value in now.items():
        known = begun.get(name)
        if known != value and name not in _FREE:
            option = "the source" if name == "source" else f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} is {_shown(value)}, and the fit was begun with {_shown(known)}",
                fix=f"give the same arguments, or go on with {command}, or begin anew without --resume",
            )


# What may differ: it changes nothing in the result.
_FREE = {"every"}


def _shown(value: Any) -> str:
    return "nothing" if value is None or value == [] else repr(value)
