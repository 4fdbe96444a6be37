"""The time since the command was started, which limits of time count from."""

from __future__ import annotations

import time

__all__ = ["CLOCK", "Clock"]

# Where the start and the end take longer than the rest of it, a fit still gets this share of its limit, up
# to so many seconds.
_LEAST_SHARE = 0.6
_LEAST_SECONDS = 3.0


class Clock:
    """Counts seconds from the start of a command.

    Examples
    --------
    >>> clock = Clock()
    >>> 59.0 < clock.left_of(60.0) <= 60.0
    True
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Count from now."""
        self._began = time.monotonic()

    def left_of(self, seconds: float, after: float = 0.0) -> float:
        """Return what is left of a limit, at least three fifths of it or three seconds, whichever is less.

        Parameters
        ----------
        seconds
            The limit.
        after
            What the rest of the command will take, such as writing a model.
        """
        least = min(_LEAST_SHARE * seconds, _LEAST_SECONDS)
        return max(seconds - after - (time.monotonic() - self._began), least)


CLOCK = Clock()
