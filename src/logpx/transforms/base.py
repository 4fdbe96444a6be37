"""The two-method contract of every invertible map."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn

from logpx.arguments import check_count, is_whole
from logpx.configuration import Configured
from logpx.errors import UsageError
from logpx.transforms.as_torch import TorchTransform
from logpx.transforms.supports import real_event

__all__ = [
    "Transform",
    "as_event_shape",
    "as_features",
    "check_context",
    "check_dtype",
    "check_event",
    "check_events_of",
    "checks_event",
    "common_rows",
    "context_of",
    "own_tensor",
    "sum_over_event",
]

_Arguments = ParamSpec("_Arguments")
_Value = TypeVar("_Value")


def as_event_shape(event_shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return an event shape as a tuple: ``3`` means ``(3,)``.

    Raises
    ------
    UsageError
        If a size is not a positive whole number.
    """
    # A tensor without dimensions says that it can be iterated over, and cannot.
    if isinstance(event_shape, Iterable) and getattr(event_shape, "ndim", 1) > 0:
        shape: tuple[Any, ...] = tuple(event_shape)
    else:
        shape = (event_shape,)
    if any(not is_whole(size) or size < 1 for size in shape):
        raise UsageError(
            f"an event shape of {shape} has a size that is not a positive whole number",
            fix="give the number of features, such as 3, or a shape, such as (3, 32, 32)",
        )
    return tuple(int(size) for size in shape)


def as_features(features: int | Sequence[int]) -> int:
    """Return the number of features of a vector event: ``(3,)`` means ``3``.

    Raises
    ------
    UsageError
        If it is not a positive whole number, or not the shape of a vector.
    """
    shape = as_event_shape(features)
    if len(shape) != 1:
        raise UsageError(
            f"an event of shape {shape}, where a vector was expected",
            fix="give the number of features, such as 3",
        )
    return shape[0]


def check_event(x: Tensor, event_shape: tuple[int, ...]) -> None:
    """Refuse rows of another event shape, which broadcasting would quietly misread.

    Raises
    ------
    UsageError
        Naming both shapes.
    """
    if not isinstance(x, Tensor):
        raise UsageError(
            f"a {type(x).__name__} given to a model, where a tensor was expected",
            fix="convert it with torch.as_tensor(x, dtype=torch.float32)",
        )
    if x.shape[x.dim() - len(event_shape) :] != event_shape or x.dim() < len(event_shape):
        raise UsageError(
            f"a tensor of shape {tuple(x.shape)} given to a model of event shape {event_shape}",
            fix=f"give rows of shape (n, {', '.join(map(str, event_shape))})",
        )


def check_context(owner: Any, context: Tensor | None, rows: tuple[int, ...] | None = None) -> None:
    """Refuse a context that is missing, unexpected or of the wrong size.

    Parameters
    ----------
    owner
        The transform or distribution, with its `context_features`.
    context
        Shape ``(*rows, *context_shape)``, whose rows broadcast with those of x.
    rows
        The shape of the rows that it belongs to, if known.

    Raises
    ------
    UsageError
        Naming the expected size.
    """
    if context is not None and not isinstance(context, Tensor):
        raise UsageError(
            f"a {type(context).__name__} given as context, where a tensor was expected",
            fix="convert it with torch.as_tensor(context, dtype=torch.float32)",
        )
    shape = tuple(owner.context_shape)
    if context is None or not shape or tuple(context.shape[max(0, context.dim() - len(shape)) :]) != shape:
        if context is None and not shape:
            return
        raise UsageError(_wrong_context(owner, context), fix=_CONTEXT_FIX)
    if rows is not None:
        others = tuple(context.shape[: context.dim() - len(shape)])
        if common_rows(rows, others, "context", shape) != rows:
            raise UsageError(
                f"a context of shape {tuple(context.shape)} for rows of shape {rows}",
                fix="give one context per row, or one for all; or ask for a shape of draws for each context, "
                "such as sample((10,), context)",
            )


_CONTEXT_FIX = "pass a context of that size, or build the model with context=... to match"


def _wrong_context(owner: Any, context: Tensor | None) -> str:
    if len(owner.context_shape) > 1:
        given = "none" if context is None else f"a tensor of shape {tuple(context.shape)}"
        return f"{type(owner).__name__} takes contexts of shape {owner.context_shape}, but got {given}"
    size = 0 if context is None else context.shape[-1] if context.dim() else 1
    return f"{type(owner).__name__} takes {owner.context_features} context features, but got {size}"


def common_rows(
    rows: tuple[int, ...], others: tuple[int, ...], what: str, event: tuple[int, ...] = ()
) -> tuple[int, ...]:
    """Return the shape that the rows of x and those of something else, of events of its own, broadcast to.

    Raises
    ------
    UsageError
        If they do not, naming both shapes.

    Examples
    --------
    >>> common_rows((32, 1), (3,), "context")
    (32, 3)
    """
    longest = max(len(rows), len(others))
    shapes = [(1,) * (longest - len(each)) + each for each in (rows, others)]
    if any(one != other and 1 not in (one, other) for one, other in zip(*shapes, strict=True)):
        raise UsageError(
            f"a {what} of shape {others + event} for rows of shape {rows}",
            fix=f"give one {what} per row, one for all, or rows that broadcast with each other",
        )
    return tuple(other if one == 1 else one for one, other in zip(*shapes, strict=True))


def context_of(part: Any, context: Tensor | None) -> Tensor | None:
    """Return the context for a part of a model: None if the part takes none."""
    return context if part.context_features else None


def checks_event(method: Callable[_Arguments, _Value]) -> Callable[_Arguments, _Value]:
    """Let a method check its first argument, rows of its object's events, and its context, if it takes one.

    Rows have the event shape, by `check_event`; whole numbers become those of the object's own dtype. The
    context is checked by `check_context`. If torch refuses the dtype, the error says which was expected.
    """
    names = list(inspect.signature(method).parameters)
    name = names[1]
    place = names.index("context") - 1 if "context" in names and name != "context" else None
    takes_context = place is not None

    @functools.wraps(method)
    def checked(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Value:
        owner, *given = cast(tuple[Any, ...], args)
        if not kwargs and _suits(owner, given, takes_context):
            # Nearly every call; of few rows, the rest would take a tenth of the time.
            try:
                return method(*args, **kwargs)
            except (RuntimeError, TypeError, UsageError) as error:
                _explain(error, owner, given[0], None)
                raise
        # If the argument is missing, the call itself raises Python's own error.
        if not given and name not in kwargs:
            return method(*args, **kwargs)
        x: Any = given[0] if given else kwargs[name]
        check_event(x, owner.event_shape)
        if not x.is_floating_point():
            x = _floating(owner, x)
        context: Any = None
        if place is not None:
            context = given[place] if len(given) > place else kwargs.get("context")
            if context is not None or owner.context_features:
                check_context(owner, context)
                x = _as_many_rows(owner, x, context)
        if given:
            args = (owner, x, *given[1:])  # type: ignore[assignment]
        else:
            kwargs[name] = x
        try:
            return method(*args, **kwargs)
        except (RuntimeError, TypeError, UsageError) as error:
            _explain(error, owner, x, context)
            raise

    return checked


def _suits(owner: Any, given: list[Any], takes_context: bool) -> bool:
    """Return whether arguments are floating-point rows of an object's events, without a context."""
    if len(given) != 1 and not (len(given) == 2 and given[1] is None):
        return False
    x = given[0]
    if not isinstance(x, Tensor) or (takes_context and owner.context_features):
        return False
    event: tuple[int, ...] = owner.event_shape
    return x.shape[x.dim() - len(event) :] == event and x.is_floating_point()


def _explain(error: Exception, owner: Any, x: Tensor, context: Tensor | None) -> None:
    """Raise an error that says which dtype was expected, if it is this that torch refuses."""
    if isinstance(error, UsageError) and not isinstance(error.__cause__, RuntimeError):
        return
    check_dtype(owner, x, error)
    if context is not None:
        check_dtype(owner, context, error)


def _as_many_rows(owner: Any, x: Tensor, context: Tensor) -> Tensor:
    """Return x with the rows that it and its contexts broadcast to."""
    event = tuple(owner.event_shape)
    rows = tuple(x.shape[: x.dim() - len(event)])
    others = tuple(context.shape[: context.dim() - len(owner.context_shape)])
    shape = common_rows(rows, others, "context", tuple(owner.context_shape)) if others else rows
    return x if shape == rows else x.expand(*shape, *event)


def own_tensor(owner: nn.Module) -> Tensor | None:
    """Return the first floating-point tensor of a module, or None: it has the module's dtype and device."""
    found = _first_of(owner, "_parameters")
    return _first_of(owner, "_buffers") if found is None else found


def _first_of(owner: nn.Module, kind: str) -> Tensor | None:
    """Return the first floating-point tensor among parameters or buffers, for less than a walk of torch's."""
    for tensor in getattr(owner, kind).values():
        if tensor is not None and tensor.is_floating_point():
            own: Tensor = tensor
            return own
    for part in owner._modules.values():
        found = None if part is None else _first_of(part, kind)
        if found is not None:
            return found
    return None


def _floating(owner: nn.Module, x: Tensor) -> Tensor:
    if x.is_complex():
        raise UsageError(
            "complex numbers given to a model, where real ones were expected",
            fix="give real and imaginary part as two features",
        )
    own = own_tensor(owner)
    return x.to(torch.get_default_dtype() if own is None else own.dtype)


def check_dtype(owner: nn.Module, x: Tensor, error: Exception) -> None:
    """Say what torch's own error meant, if rows or contexts have another dtype than the module.

    Raises
    ------
    UsageError
        Naming both.
    """
    own = own_tensor(owner)
    if own is not None and own.dtype != x.dtype:
        raise UsageError(
            f"numbers of {x.dtype} given to a model of {own.dtype}",
            fix=f"convert one of them: x.to({own.dtype}) or model.to({x.dtype})",
        ) from error


def check_events_of(kind: type[Any], methods: Sequence[str]) -> None:
    """Add `checks_event` to those of the named methods that a class itself defines."""
    for name in methods:
        if name in kind.__dict__:
            setattr(kind, name, checks_event(kind.__dict__[name]))


def sum_over_event(values: Tensor, event_shape: tuple[int, ...]) -> Tensor:
    """Sum an elementwise quantity over the event dimensions: one number per row.

    Parameters
    ----------
    values
        Shape ``(*rows, *event_shape)``.
    event_shape
        The trailing dimensions to sum over.

    Returns
    -------
    Tensor
        Shape ``(*rows,)``.
    """
    return values.flatten(-len(event_shape)).sum(-1) if event_shape else values


class Transform(Configured, nn.Module):
    r"""An invertible map f from data x to noise z, with its log absolute Jacobian determinant.

    The change of variables is :math:`\log p(x) = \log p(f(x)) + \log |\det \partial f / \partial x|`.

    **Events and rows.** One x is an event, of shape `event_shape`: ``()`` is a number, ``(D,)`` a vector,
    ``(C, H, W)`` an image. The trailing ``len(event_shape)`` dimensions of a tensor are its event, and all
    dimensions before them are rows; there may be any number of these, even none: a tensor of shape
    ``(*rows, *event_shape)`` holds ``prod(rows)`` events, which are mapped independently of each other. z
    always has the event shape of x. The Jacobian is that of one event, and its log absolute determinant one
    number per row: for ``event_shape=(D,)`` and x of shape ``(2, 5, D)`` the ladj has the
    shape ``(2, 5)``. An elementwise map sums its log-derivatives over the event, and over nothing else.

    **Contexts.** A map with ``context_features=c`` takes a context of shape ``(*rows, c)``, one per row, or
    ``(c,)``, the same for all rows; if c is 0, it takes None.

    **What the class checks.** `forward`, `inverse` and `initialise` of every subclass refuse rows of another
    event shape, naming both shapes, and a context of another size; whole numbers become those of the map's
    own dtype, and another dtype that does not suit is named. A subclass contains only the mathematics, and a
    tensor that broadcasting would quietly misread never reaches it.
    Values are not checked, and `torch.compile` meets no branch that depends on data: every finite input
    gives a finite value, ladj and gradient, unless it lies outside the domain of the map, as negative
    numbers do for a logarithm. There the ladj is minus infinity, and with it the log-density; value and
    gradient stay finite. An infinite or missing (NaN) element leaves its own row without a value, and no
    other; the log-density of a `Flow` is minus infinity or NaN there.

    Parameters
    ----------
    event_shape
        The shape of one x; an integer means a vector of that many features.
    context
        The number of context features that the map is conditioned on; 0 means none.

    Attributes
    ----------
    event_shape : tuple of int
        The shape of one x, and of one z.
    context_features : int
        The number of context features; 0 means unconditional.

    Examples
    --------
    Your own map defines both directions:

    >>> import torch
    >>> class Double(Transform):
    ...     def forward(self, x, context=None):
    ...         return 2.0 * x, sum_over_event(torch.full_like(x, 2.0).log(), self.event_shape)
    ...
    ...     def inverse(self, z, context=None):
    ...         return 0.5 * z, -sum_over_event(torch.full_like(z, 2.0).log(), self.event_shape)
    >>> Double(2).forward(torch.ones(3, 2))[1]
    tensor([1.3863, 1.3863, 1.3863])
    >>> Double(2).forward(torch.ones(3, 1))
    Traceback (most recent call last):
    ...
    logpx.errors.UsageError: a tensor of shape (3, 1) given to a model of event shape (2,)
    fix: give rows of shape (n, 2)
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_events_of(cls, ("forward", "inverse", "initialise", "initialise_and_map"))

    def __init__(self, event_shape: int | Sequence[int], context: int = 0) -> None:
        super().__init__()
        self.event_shape = as_event_shape(event_shape)
        check_count("context", context, least=0)
        self.context_features = context

    @property
    def context_shape(self) -> tuple[int, ...]:
        """The shape of one context; ``()`` if there is none."""
        return (self.context_features,) if self.context_features else ()

    @property
    def domain(self) -> Any:
        """What `forward` is defined on, as a constraint of torch; None if it has no name."""
        return real_event(self.event_shape)

    @property
    def codomain(self) -> Any:
        """What `inverse` is defined on, as a constraint of torch; None if it has no name."""
        return real_event(self.event_shape)

    def torch_transform(self, context: Tensor | None = None) -> TorchTransform:
        """Return the map, given a context or none, as a transform of torch; see `TorchTransform`.

        Examples
        --------
        >>> from torch.distributions import Independent, Normal, TransformedDistribution
        >>> from logpx.transforms import Softplus
        >>> normal = Independent(Normal(torch.zeros(2), 1.0), 1)
        >>> TransformedDistribution(normal, [Softplus(2).torch_transform()]).sample((3,)).shape
        torch.Size([3, 2])
        """
        return TorchTransform(self, context)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map data to noise.

        Parameters
        ----------
        x
            Data, shape ``(*rows, *event_shape)``.
        context
            Shape ``(*rows, context_features)`` or ``(context_features,)``.

        Returns
        -------
        z : Tensor
            Noise, of the shape of `x`.
        ladj : Tensor
            Log absolute determinant of the Jacobian of this direction in nats, shape ``(*rows,)``.

        Raises
        ------
        UsageError
            If `x` is not a tensor, or its trailing dimensions are not `event_shape`.
        """
        raise NotImplementedError

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise to data; the mirror image of `forward`, with the ladj of this direction."""
        raise NotImplementedError

    @property
    def needs_data(self) -> bool:
        """Whether `initialise` still has something to set."""
        return False

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set data-dependent statistics from training rows, once; most maps have none."""

    def initialise_and_map(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Initialise, and return the rows as the initialised map transforms them."""
        self.initialise(x, context)
        return self.forward(x, context)[0]

    def extra_repr(self) -> str:
        """Show the event shape, and the context if there is one."""
        context = f", context={self.context_features}" if self.context_features else ""
        return f"event_shape={self.event_shape}{context}"


# A subclass that has none of its own checks rows, too.
check_events_of(Transform, ("initialise", "initialise_and_map"))
