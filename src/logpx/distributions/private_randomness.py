"""Random numbers from generators of one's own, so that torch's global ones are left to the caller."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["current_generator", "private_randomness", "redirected_draws"]

_TAKE_A_GENERATOR = frozenset(
    {
        "_sample_dirichlet",
        "_standard_gamma",
        "bernoulli",
        "bernoulli_",
        "binomial",
        "cauchy_",
        "exponential_",
        "geometric_",
        "kaiming_normal_",
        "kaiming_uniform_",
        "log_normal_",
        "multinomial",
        "normal",
        "normal_",
        "orthogonal_",
        "poisson",
        "rand",
        "randint",
        "randn",
        "random_",
        "randperm",
        "sparse_",
        "trunc_normal_",
        "uniform_",
        "xavier_normal_",
        "xavier_uniform_",
    }
)
_LIKE_ANOTHER: dict[str, Callable[..., Tensor]] = {
    "rand_like": torch.rand,
    "randn_like": torch.randn,
    "randint_like": torch.randint,
}
_TAKE_NONE = frozenset(
    {
        "alpha_dropout",
        "alpha_dropout_",
        "dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
        "dropout_",
        "feature_alpha_dropout",
        "feature_alpha_dropout_",
        "feature_dropout",
        "feature_dropout_",
        "gru",
        "gumbel_softmax",
        "lstm",
        "multi_head_attention_forward",
        "rnn_relu",
        "rnn_tanh",
        "rrelu",
        "rrelu_",
        "scaled_dot_product_attention",
    }
)
# Held while torch's global generator is lent to a function that takes no other; such functions may be nested.
_LENDING = threading.RLock()


class _Generators:
    """Generators with one seed, one for each device."""

    def __init__(self, seed: int) -> None:
        self._seed = seed % 2**63
        self._on: dict[torch.device, torch.Generator] = {}

    def on(self, device: torch.device) -> torch.Generator | None:
        if device.type == "meta":
            return None
        if device not in self._on:
            self._on[device] = torch.Generator(device).manual_seed(self._seed)
        return self._on[device]


# Every thread has its own.
_CURRENT: ContextVar[_Generators | None] = ContextVar("generators", default=None)


def current_generator(device: torch.device) -> torch.Generator | None:
    """Return the generator of the enclosing `private_randomness`, or None for torch's global one."""
    generators = _CURRENT.get()
    return None if generators is None else generators.on(device)


@contextmanager
def private_randomness(seed: int) -> Iterator[None]:
    """Give this thread generators of its own for what the library draws without a seed.

    Parameters
    ----------
    seed
        It determines all the draws.

    Examples
    --------
    >>> with private_randomness(0):
    ...     torch.rand(2, generator=current_generator(torch.device("cpu")))
    tensor([0.4963, 0.7682])
    """
    token = _CURRENT.set(_Generators(seed))
    try:
        yield
    finally:
        _CURRENT.reset(token)


class _Redirected(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _TAKE_A_GENERATOR and kwargs.get("generator") is None:
            return func(*args, **{**kwargs, "generator": current_generator(_device_of(args, kwargs))})
        if name in _LIKE_ANOTHER and kwargs.get("generator") is None:
            return _like_another(_LIKE_ANOTHER[name], *args, **kwargs)
        if name in _TAKE_NONE:
            return _lent(func, args, kwargs)
        return func(*args, **kwargs)


def _device_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    given = kwargs.get("device")
    if given is None:
        tensors = (each for each in (*args, *kwargs.values()) if isinstance(each, Tensor))
        given = next((tensor.device for tensor in tensors), torch.get_default_device())
    return torch.device(given)


def _like_another(
    draw: Callable[..., Tensor],
    like: Tensor,
    *ends: int,
    dtype: Any = None,
    device: Any = None,
    **kwargs: Any,
) -> Tensor:
    where = torch.device(like.device if device is None else device)
    options = {"dtype": like.dtype if dtype is None else dtype, "device": where}
    requires_grad = kwargs.pop("requires_grad", False)
    generator = current_generator(where)
    return draw(*ends, like.shape, generator=generator, **options).requires_grad_(requires_grad)


def _lent(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    seed = int(torch.randint(2**62, (), device="cpu", generator=current_generator(torch.device("cpu"))))
    device = _device_of(args, kwargs)
    with _LENDING, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        return func(*args, **kwargs)


def redirected_draws() -> AbstractContextManager[Any]:
    """Let torch's own functions draw from the private generators, where there are any.

    This concerns functions that no generator can be passed to: torch's distributions, initial weights,
    dropout. It costs a little for every call of torch inside, so it should enclose few besides.

    Examples
    --------
    >>> def draw():
    ...     with private_randomness(0), redirected_draws():
    ...         return torch.distributions.Normal(0.0, 1.0).sample()
    >>> bool(draw() == draw())
    True
    """
    return nullcontext() if _CURRENT.get() is None else _Redirected()
