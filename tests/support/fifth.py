"""Fleets of real nodes with all timers a fifth (control.md, "Kinds of proof on one small machine"): makers and looks at them."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.processes import Node, battery, pseudo, table, until

TIMERS: dict[str, Any] = {"heartbeat_s": 0.1, "stale_s": 0.3, "lease_s": 0.6, "max_command_age_s": 0.2}
FIFTH = table("[fleet]", TIMERS)
LEASE_S = 0.6
SAFE_WITHIN_S = 0.2 + 0.6 + 0.02
"""max_command_age + lease + margin, of a battery in software (control.md, "When something dies")."""


def owner(directory: Path, name: str) -> Node:
    """Return a node with one battery `b`."""
    return Node(directory, FIFTH + pseudo("b"), name=name)


def stub(name: str, node: Node, remote_name: str = "b") -> str:
    """Return a stub of that node's battery."""
    return battery(name, "network", target=node.target, remote_name=remote_name)


def commandable(node: Node, name: str) -> bool:
    """Tell whether a battery takes set points there."""
    return bool(node.status(name)["commandable"])


def ready(node: Node, *names: str) -> None:
    """Wait until these may be commanded."""
    for name in names:
        until(partial(commandable, node, name), because=f"{name} may be commanded")


def applied(node: Node, name: str) -> Any:
    """Return what a battery follows there."""
    return node.status(name)["applied_current_a"]


def asked(node: Node, name: str, current_a: float) -> Any:
    """Ask for a current for a minute and return the answer.

    On a busy machine a command may rightly be refused for its age, of which a fifth is little: then it is asked again.
    """

    def answered() -> Any:
        answer = node.bosctl("set", name, f"{current_a:g}", "--ttl", "60s")
        aged = answer.status == 1 and answer.error["error"]["metadata"].get("check") == "AGE"
        assert answer.status == 0 or aged, answer
        return answer.document

    return until(answered, because=f"{name} is told")


def shares(*nodes: Node) -> list[Any]:
    """Return what the batteries of these nodes follow."""
    return [applied(node, "b") for node in nodes]


def fleet(node: Node, *arguments: str) -> dict[str, Any]:
    """Return the rows of `fleet ls` by node, or by target where it has no name yet."""
    document = node.bosctl("fleet", "ls", *arguments).document
    return {row["node"] or row["target"]: row for row in document["nodes"]}


def state(node: Node) -> str:
    """Return how the system stands."""
    return str(node.bosctl("fleet", "ls").document["system_state"])


def errors(node: Node, *arguments: str) -> list[tuple[str, str, str]]:
    """Return severity, type and module of what this node itself says is wrong with others."""
    own = [each for each in node.ask("errors", *arguments) if each["node"] == node.name]
    return [(each["severity"], each["type"], each["module"]) for each in own if each["module"].startswith("node:")]


def records(node: Node, **fields: object) -> list[dict[str, Any]]:
    """Return the node's own audit by fields, oldest first."""
    found = sorted(node.ask("audit", "--limit", "1000"), key=lambda record: str(record["at"]))
    return [record for record in found if all(record[key] == value for key, value in fields.items())]


def stamp_s(event: dict[str, Any]) -> float:
    """Return when a node logged an event, by its own clock."""
    return datetime.fromisoformat(event["timestamp"]).timestamp()


def stamps_s(events: Iterable[dict[str, Any]]) -> list[float]:
    """Return when these were logged."""
    return [stamp_s(event) for event in events]
