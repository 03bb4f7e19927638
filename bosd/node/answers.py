"""Answers already given: a request repeated with its id gets the first one again, instead of being done twice."""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")

REMEMBERED = 256


class Answers(Generic[T]):
    """The newest answers by asker, what was asked about, and request id; an empty id is no id."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str, str], T] = OrderedDict()

    def get(self, holder: str, request_id: str, *, about: str = "") -> T | None:
        """Return the answer this asker got for this id, if it is remembered."""
        return self._answers.get((holder, about, request_id)) if request_id else None

    def keep(self, holder: str, request_id: str, answer: T, *, about: str = "") -> T:
        """Remember an answer and return it."""
        if request_id:
            self._answers[holder, about, request_id] = answer
            while len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        return answer
