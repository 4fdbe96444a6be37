"""Families of models, looked up by name, and the options that each takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from logpx.errors import UsageError
from logpx.suggestions import alternatives, suggestion

__all__ = ["Families", "Family"]

F = TypeVar("F", bound="Family")


class Family:
    """A kind of model, chosen by its name and fitted to data.

    Attributes
    ----------
    name : str
        What ``--model`` calls it.
    summary : str
        One phrase for help texts.
    options : set of str
        The options that it takes, such as ``latent``; all of them may be left out.
    """

    name: str
    summary: str
    options: ClassVar[frozenset[str]] = frozenset()

    def check(self, option: str, value: Any) -> None:
        """Refuse an invalid value of one of its options.

        Raises
        ------
        UsageError
            Naming the option.
        """


class Families(dict[str, F]):
    """Families by name.

    Parameters
    ----------
    what
        What they are models of, for errors.
    families
        All families, in the order in which errors list them.
    automatic
        The names of the families that ``auto`` stands for.

    Examples
    --------
    >>> class Simple(Family):
    ...     name, options = "simple", frozenset({"latent"})
    >>> families = Families("a table", [Simple()], automatic=["simple"])
    >>> families.named("auto") == families.named("simple")
    True
    >>> families.fix(lambda family: "latent" in family.options)
    '--model simple'
    """

    def __init__(self, what: str, families: Iterable[F], *, automatic: Iterable[str]) -> None:
        super().__init__({family.name: family for family in families})
        self.what, self.automatic = what, tuple(automatic)

    def named(self, name: str) -> tuple[F, ...]:
        """Return the families that a name stands for: one, or with ``auto`` perhaps several to choose among.

        Raises
        ------
        UsageError
            If no family has the name; suggests the nearest one.
        """
        if name == "auto":
            return tuple(self[one] for one in self.automatic)
        if name not in self:
            raise UsageError(
                f"there is no model {name!r} of {self.what}", fix=suggestion(name, ["auto", *self])
            )
        return (self[name],)

    def fix(self, able: Callable[[F], bool]) -> str:
        """Return the models to choose from, as ``--model a, b or c``: all families that are `able`."""
        return f"--model {alternatives([name for name, family in self.items() if able(family)])}"

    def check_options(self, name: str, options: Mapping[str, Any]) -> None:
        """Refuse options that the named model does not take, and invalid values.

        Parameters
        ----------
        name
            The name of a model, or ``auto``.
        options
            Values by name; None for an option that was not given.

        Raises
        ------
        UsageError
            Naming the option, and the models that take it.
        """
        families = self.named(name)
        for option, value in options.items():
            if value is None:
                continue
            if len(families) > 1 or option not in families[0].options:
                # One at a time, so that the message is about what the user typed.
                able = self.fix(lambda family, option=option: option in family.options)  # type: ignore[misc]
                raise UsageError(
                    f"{option} is {value!r}, which --model {name} does not take",
                    fix=f"leave {option} out, or take {able}",
                )
            families[0].check(option, value)
