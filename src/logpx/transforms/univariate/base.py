"""The contract of a monotone function of one number, given its parameters."""

from __future__ import annotations

from torch import Tensor

from logpx.configuration import Configured

__all__ = ["Univariate"]


class Univariate(Configured):
    """A monotone increasing function of one number, pure in x and its parameters.

    Coupling and autoregressive layers are written once and take any of these.

    Attributes
    ----------
    parameters : int
        The number of unconstrained parameters per element. All zero gives the identity.
    """

    parameters: int

    def __call__(self, x: Tensor, params: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """Apply the function, or its inverse, to every element.

        Parameters
        ----------
        x
            Any shape.
        params
            Shape ``(*x.shape, parameters)``, any finite values.
        inverse
            Whether to apply the inverse function.

        Returns
        -------
        y : Tensor
            Of the shape of `x`.
        log_derivative : Tensor
            Log-derivative, in nats, of the chosen direction; of the shape of `x`.
        """
        raise NotImplementedError

    def at(self, feature: int) -> Univariate:
        """Return the function of one feature: the same for all unless functions were chosen per feature."""
        return self
