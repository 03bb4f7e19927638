"""What to do next after a failure, one sentence per reason."""

import math
from collections.abc import Callable, Mapping

from clients.bosctl.errors import ExitStatus, Failure


def hint_for(failure: Failure, command: str | None = None) -> str | None:
    """Return what a person can do about the failure of `command`, or None where the message says all."""
    if failure.status is ExitStatus.USAGE or command == "ca":
        return None
    if failure.status is ExitStatus.UNREACHABLE:
        return None if "cause" in failure.metadata and command != "stop" else _unreachable(command)
    if "booking" in failure.metadata or "bookings" in failure.metadata:
        return "`bosctl schedule ls` shows the bookings; `bosctl schedule cancel ID` takes one back."
    if failure.reason == "BATTERY_IN_USE" and command in _EDITS:
        return "Remove or change its users in the same edit, or exchange it with `bosctl replace NAME FILE`."
    advise = _HINTS.get(failure.reason)
    return advise(failure.metadata) if advise else None


def _unreachable(command: str | None) -> str:
    if command == "stop":
        return (
            "Nothing says that it stopped. Stop each battery at the node that owns it (--target ADDR), without a certificate "
            "over its unix socket; on a node whose daemon hangs, end that: its guard takes the devices to their safe action. "
            "`bosd safe --config FILE` there does so by hand."
        )
    return (
        "Is bosd running there? Start it with `bosd run --config FILE`, "
        "or name another node with --target ADDR (or in BOSD_TARGET)."
    )


def _in_use(metadata: Mapping[str, str]) -> str:
    users = _names(metadata.get("users", ""))
    if not users:
        return "Command the battery that uses it instead; `bosctl ls` shows which."
    return f"Command {users[0]} instead, for example `bosctl set {users[0]} AMPS`."


def _out_of_range(metadata: Mapping[str, str]) -> str:
    why = f"`bosctl status {metadata.get('name', 'NAME')}` shows why"
    try:
        lower_a, upper_a = float(metadata["lower_a"]), float(metadata["upper_a"])
    except (KeyError, ValueError):
        return f"{why}."
    if lower_a >= 0.0 >= upper_a:
        return f"Nothing can be asked of it now; {why}."
    return f"Ask between {_towards_zero(lower_a)} A (charging) and {_towards_zero(upper_a)} A (discharging); {why}."


def _towards_zero(value: float) -> str:
    """Return an amount that is accepted when typed as it is shown."""
    shown = math.trunc(100.0 * value) / 100.0
    return f"{shown:+g}" if shown else "0"


def _stale_revision(metadata: Mapping[str, str]) -> str:
    actual = metadata.get("actual")
    again = f"try again with --revision {actual}" if actual else "try again with the revision it shows"
    return f"Someone changed the topology meanwhile: look at it with `bosctl topology show`, then {again}."


def _claimed(metadata: Mapping[str, str]) -> str:
    holder, remaining_s = metadata.get("holder", "its holder"), metadata.get("remaining_s")
    when = f" in {float(remaining_s):.0f} s" if remaining_s and remaining_s.replace(".", "", 1).isdigit() else ""
    wait = f"wait until that set point ends{when}, or ask for `bosctl set NAME none` there"
    return f"Held by {holder}: {wait}; an admin takes it over with `--force`, at the node that owns the battery."


def _no_resources(metadata: Mapping[str, str]) -> str | None:
    name, has, key = metadata.get("name"), metadata.get("has"), metadata.get("key", "")
    return f"Ask for at most {key}={has}, or split another partition: `bosctl status {name}`." if name and has else None


def _not_allowed(metadata: Mapping[str, str]) -> str:
    if metadata.get("rule") == "bookings":
        return "The node that owns it decides that in its topology: book there, or have `bookings` changed."
    if "owner" in metadata:
        owner, name = metadata["owner"], metadata.get("remote_name", "NAME")
        where, found = (
            (owner, "") if not owner.startswith("serial:") else ("ADDRESS", f" (`bosctl --json fleet ls` has that of {owner})")
        )
        return f"Release it there, as an admin of that node: `bosctl --target {where} release {name}`{found}."
    if "source" in metadata:
        return "Name a --source of your own; `bosctl limits eebus` shows what the grid operator asks for."
    role = metadata.get("role")
    if role is None and "who" in metadata and "names" in metadata:
        names = ", ".join(f'"{name}"' for name in metadata["names"].split(","))
        return f'An admin of that node adds {names} to "{metadata["who"]}" in its [security.grants], and starts it anew.'
    return f"Your role does not permit this: ask an admin of the node{f' for the role {role}' if role else ''}."


def _unsupported(metadata: Mapping[str, str]) -> str | None:
    if not metadata.get("detail", "").startswith("no current control"):
        return None
    return (
        'Its table says current_control = "none". "gate" and both limits there let a set point open and close its switches, '
        'a regulator and "external" set its current; `bosctl topology edit` changes the table.'
    )


def _names(text: str) -> list[str]:
    return [word for word in text.replace("'", "").strip("()[] ").replace(",", " ").split() if word]


def _unavailable(metadata: Mapping[str, str]) -> str:
    if "path" in metadata:
        return "The node cannot write that file: is the disk full or read-only? Lowering and `bosctl stop` still work."
    return "The daemon answered, the device or link behind it did not: `bosctl doctor` looks at all of them."


def _say(text: str) -> Callable[[Mapping[str, str]], str]:
    return lambda _metadata: text


_EDITS = ("add", "rm", "replace", "topology", "split", "merge")
_HINTS: dict[str, Callable[[Mapping[str, str]], str | None]] = {
    "BAD_NAME": lambda metadata: f"`bosctl {'limits' if 'source' in metadata else 'ls'}` shows the names this node knows.",
    "NAME_TAKEN": _say("Choose another name, or exchange the battery with `bosctl replace NAME FILE`."),
    "NO_RESOURCES": _no_resources,
    "CURRENT_OUT_OF_RANGE": _out_of_range,
    "BATTERY_IN_USE": _in_use,
    "CLAIMED": _claimed,
    "STOPPED": _say("End the stop with `bosctl release NAME` first."),
    "CYCLE": _say("A battery cannot rest on itself: take one link out of the circle."),
    "VOLTAGE_MISMATCH": _say(
        "Compare the members with `bosctl status`, or widen voltage_tolerance_v if the difference is meant."
    ),
    "STALE_REVISION": _stale_revision,
    "UNAVAILABLE": _unavailable,
    "SHUTTING_DOWN": _say("The daemon is stopping: try again when it is back."),
    "STORE_FAILED": _say(
        "The node cannot write its store: is the disk full or read-only? Lowering and `bosctl stop` still work."
    ),
    "DRIVER_ERROR": _say("Try `bosctl refresh NAME`; if it stays, look at the cable and the device."),
    "NOT_ALLOWED": _not_allowed,
    "UNSUPPORTED": _unsupported,
    "AUDIT_BROKEN": _say("Keep the store as it is (`bosd.sqlite` in the state directory) and find out who could write it."),
    "INTERNAL": _say("This is a fault in the daemon: its log says more."),
}
