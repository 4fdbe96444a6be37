"""What a page on a model can ask: questions with JSON values in, answers with JSON values out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from logpx.errors import UsageError

__all__ = ["Explorer"]


class Explorer(ABC):
    """Answers what a page on one kind of model asks.

    Attributes
    ----------
    questions : dict of str to callable
        By name, functions of the JSON object that came with the question.
    """

    questions: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what the page shows before anything is asked."""

    def answer(self, question: str, given: Any) -> dict[str, Any]:
        """Answer a question.

        Parameters
        ----------
        question
            Its name; ``model`` for `describe`.
        given
            The JSON object that came with it.

        Raises
        ------
        UsageError
            If there is no such question, or what came with it makes no sense.
        """
        if question == "model":
            return self.describe()
        if question not in self.questions:
            raise UsageError(f"there is no question {question!r}", fix="load the page again")
        if not isinstance(given, dict):
            raise UsageError("the question is no JSON object", fix="load the page again")
        return self.questions[question](given)
