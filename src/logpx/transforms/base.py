"""The two-method contract of every invertible map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from logpx.arguments import check_count, is_whole
from logpx.configuration import Configured
from logpx.errors import UsageError

__all__ = ["Transform", "as_event_shape", "as_features", "check_event", "sum_over_event"]


def as_event_shape(event_shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return an event shape as a tuple: ``3`` means ``(3,)``.

    Raises
    ------
    UsageError
        If a size is not a positive whole number.
    """
    shape = tuple(event_shape) if isinstance(event_shape, Iterable) else (event_shape,)
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
        If it is no positive whole number, or the shape of something else than a vector.
    """
    shape = as_event_shape(features)
    if len(shape) != 1:
        raise UsageError(
            f"an event of shape {shape}, where a vector was expected",
            fix="give the number of features, such as 3",
        )
    return shape[0]


def check_event(x: Tensor, event_shape: tuple[int, ...]) -> None:
    """Refuse rows of another event shape, which broadcasting would quietly take for something else.

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

    Parameters
    ----------
    event_shape
        The shape of one x; an integer means a vector of that many features.
    context
        The number of context features that the map is conditioned on; 0 means none.
    """

    def __init__(self, event_shape: int | Sequence[int], context: int = 0) -> None:
        super().__init__()
        self.event_shape = as_event_shape(event_shape)
        check_count("context", context, least=0)
        self.context_features = context

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
        """
        raise NotImplementedError

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise to data; the mirror image of `forward`, with the ladj of this direction."""
        raise NotImplementedError

    @property
    def needs_data(self) -> bool:
        """Whether there is something that `initialise` has yet to set."""
        return False

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        """Set data-dependent statistics from training rows, once; most maps have none."""

    def initialise_and_map(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Do what `initialise` does, and return the rows as the map then leaves them."""
        self.initialise(x, context)
        return self.forward(x, context)[0]

    def extra_repr(self) -> str:
        """Show the event shape, and the context where there is one."""
        context = f", context={self.context_features}" if self.context_features else ""
        return f"event_shape={self.event_shape}{context}"
