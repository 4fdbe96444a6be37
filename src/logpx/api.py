"""The few names that reach across rooms: fit, save, load."""

from __future__ import annotations

from logpx.storage import load, save

__all__ = ["load", "save"]
