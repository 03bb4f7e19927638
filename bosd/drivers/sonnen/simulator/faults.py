"""What goes wrong between a battery and its client: seeded, counted and logged, so that a run can be repeated."""

import random
from collections import Counter, deque
from dataclasses import dataclass

from bosd.drivers.sonnen.simulator.model import check
from bosd.errors import InvalidArgumentError

FAULTS = {
    "error": "answers `status` (503)",
    "slow": "waits `seconds` (5) before the answer",
    "slow_body": "sends one byte of the answer each `seconds` (0.5)",
    "reset": "resets the connection instead of an answer",
    "truncated": "closes the connection in the middle of the answer",
    "garbage": "answers bytes that are no HTTP",
    "text": "answers `body` instead of the document",
    "html": "answers a page of HTML",
    "huge": "answers without an end",
    "redirect": "redirects to another address",
    "zipped": "answers in a coding nobody asked for",
    "field": "has `value` in `field` of the document; without a value the field is missing",
    "late": "does what is asked, then resets the connection: the answer is lost",
}
_LOG = 1000


@dataclass(slots=True)
class Fault:
    """One fault in force: how often it strikes, on which paths, and with what."""

    name: str
    probability: float = 1.0
    count: int | None = None
    path: str = ""
    seconds: float | None = None
    status: int = 503
    body: str = ""
    field: str = ""
    value: object = None
    has_value: bool = False
    struck: int = 0


class FaultPlan:
    """The faults in force; `struck` counts them by name, `log` holds (number of the request, path, fault), the last 1000."""

    def __init__(self, seed: int) -> None:
        self.struck: Counter[str] = Counter()
        self.log: deque[tuple[int, str, str]] = deque(maxlen=_LOG)
        self._chance = random.Random(f"{seed}/faults")  # noqa: S311 (reproducible, no secret)
        self._plan: list[Fault] = []

    def inject(self, request: dict[str, object]) -> None:
        """Put a fault in force. Raises InvalidArgumentError."""
        name = request.get("fault")
        if not isinstance(name, str) or name not in FAULTS:
            raise InvalidArgumentError(f"fault must be one of {', '.join(FAULTS)}, not {name!r:.80}", key="fault")
        known = {"op", "fault", "probability", "count", "path", "seconds", "status", "body", "field", "value"}
        if strange := sorted(request.keys() - known):
            raise InvalidArgumentError(f"{strange[0]} is no parameter of a fault", key=strange[0])
        fault = Fault(name, path=_text(request, "path"), body=_text(request, "body"), field=_text(request, "field"))
        fault.probability = check("probability", request.get("probability", 1.0), 0.0, 1.0)
        fault.status = int(check("status", request.get("status", 503), 100, 599))
        if "seconds" in request:
            fault.seconds = check("seconds", request["seconds"], 0.0, 3600.0)
        if "count" in request:
            fault.count = int(check("count", request["count"], 1, 1e9))
        if "value" in request:
            fault.value, fault.has_value = request["value"], True
        self._plan.append(fault)

    def clear(self) -> None:
        """End all faults."""
        self._plan.clear()

    def draw(self, number: int, path: str) -> Fault | None:
        """Return the fault that strikes this request, if any: the first in force that chance picks."""
        for fault in self._plan:
            if not path.startswith(fault.path) or self._chance.random() >= fault.probability:
                continue
            fault.struck += 1
            self.struck[fault.name] += 1
            self.log.append((number, path, fault.name))
            if fault.count is not None and fault.struck >= fault.count:
                self._plan.remove(fault)
            return fault
        return None


def _text(request: dict[str, object], key: str) -> str:
    value = request.get(key, "")
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{key} must be a text, not {value!r:.80}", key=key)
    return value
