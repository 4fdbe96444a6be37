"""The device to compute on."""

from __future__ import annotations

import torch

from logpx.errors import UsageError

__all__ = ["usable_device"]


def usable_device(name: str | torch.device) -> torch.device:
    """Return the device with a name after checking that it can be used.

    Raises
    ------
    UsageError
        If it cannot.

    Examples
    --------
    >>> usable_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # the device "meta" makes tensors without values
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"the device {str(name)!r} cannot be used: {reason}",
            fix="use --device cpu, or device='cpu' in Python",
        ) from error
    return device
