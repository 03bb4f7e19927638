"""The configuration that a device holds by itself, as read: a table for people, a file to keep, and what differs."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bosd.bal.spec import PhysicalSpec
from bosd.drivers.kind import DriverContext
from bosd.errors import InvalidArgumentError

FORMAT = "bosd device configuration 1"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: the raw word, what it means in words, and its unit. What `counts` changes by itself."""

    name: str
    raw: int
    value: str
    unit: str
    counts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All settings of one device by their address; `missing` says why others could not be read. `read_at` is RFC 3339."""

    battery: str
    kind: str
    port: str
    read_at: str
    identity: Mapping[str, str]
    settings: Mapping[str, Setting]
    missing: Mapping[str, str]


ReadSettings = Callable[[Any, DriverContext], Awaitable[Configuration]]
"""What `DriverKind.settings` names: reads all settings of the device of a specification, and changes none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is not the same; None where one side does not have it."""

    address: str
    name: str
    kept: Setting | None
    now: Setting | None
    matters: bool


def to_json(configuration: Configuration) -> str:
    """Return the document of a backup."""
    return json.dumps({"format": FORMAT} | asdict(configuration), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str, place: str) -> Configuration:
    """Return the configuration of a backup. Raises InvalidArgumentError that names the place and what is wrong."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{place}: no backup of a device, which is JSON: {error}", path=place) from None
    try:
        return _parsed(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InvalidArgumentError(f"{place}: {what}", path=place) from None


def _parsed(document: Any) -> Configuration:  # noqa: ANN401 (whatever stands in a file)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f'no backup of a device: its "format" is not "{FORMAT}"')
    settings = {address: Setting(**entry) for address, entry in document["settings"].items()}
    if any(type(each.raw) is not int or not isinstance(each.value, str) for each in settings.values()):
        raise ValueError("a setting without its raw word or its value")
    battery, kind, port, read_at = (document[key] for key in ("battery", "kind", "port", "read_at"))
    if not all(isinstance(each, str) for each in (battery, kind, port, read_at)):
        raise ValueError("battery, kind, port and read_at are texts")
    identity, missing = dict(document["identity"]), dict(document["missing"])
    return Configuration(
        battery=battery, kind=kind, port=port, read_at=read_at, identity=identity, settings=settings, missing=missing
    )


def differences(kept: Configuration, now: Configuration) -> tuple[Difference, ...]:
    """Return what differs by its raw word, in order of address; what counts by itself does not matter."""
    found = []
    for address in sorted({*kept.settings, *now.settings}):
        one, other = kept.settings.get(address), now.settings.get(address)
        if one is not None and other is not None and one.raw == other.raw:
            continue
        shown = other or one
        assert shown is not None  # noqa: S101 (the address is of one of both)
        found.append(Difference(address, shown.name, one, other, matters=not shown.counts))
    return tuple(found)


def not_readable(spec: PhysicalSpec) -> InvalidArgumentError:
    """Return the refusal for a kind whose driver reads no settings."""
    return InvalidArgumentError(f'{spec.name}: kind = "{spec.kind}" has no settings that its driver reads', battery=spec.name)
