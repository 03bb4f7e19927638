"""What a node tells of itself on the local network (satellites.md 3.8): where to knock, and hints; nothing of it is proven."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SERVICE_TYPE = "_bosd._tcp.local."
LAYOUT = "1"
MOST_BYTES = 400
"""Of a whole record, a length byte for each key counted."""
_MOST_VALUE = 63
_MOST_HINT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One node; texts are empty where it does not say."""

    serial: str
    system: str = ""
    role: str = ""
    protocol: str = ""
    boot: str = ""
    version: str = ""
    batteries: int | None = None
    key_hash: str = ""


_KEYS: Iterable[tuple[str, str]] = (
    ("sn", "serial"),
    ("sys", "system"),
    ("role", "role"),
    ("proto", "protocol"),
    ("boot", "boot"),
    ("fw", "version"),
    ("fp", "key_hash"),
)


def encode(announcement: Announcement) -> dict[str, str]:
    """Return the TXT record; what is empty is left out, what is too long is cut."""
    record = {"txtvers": LAYOUT}
    for key, field in _KEYS:
        if value := str(getattr(announcement, field))[: _MOST_VALUE if key == "sn" else _MOST_HINT]:
            record[key] = value
    if announcement.batteries is not None:
        record["nb"] = str(announcement.batteries)
    return record


def decode(record: Mapping[bytes, bytes | None]) -> Announcement | None:
    """Return what a record says; None where it is of another layout, names nobody, or is no text."""
    texts = {key.decode("ascii", "replace"): _text(value) for key, value in record.items()}
    serial = texts.get("sn", "")
    if texts.get("txtvers") != LAYOUT or not serial:
        return None
    batteries = texts.get("nb", "")
    return Announcement(
        **{field: texts.get(key, "") for key, field in _KEYS},
        batteries=int(batteries) if batteries.isascii() and batteries.isdecimal() and len(batteries) <= 9 else None,
    )


def instance_name(serial: str) -> str:
    """Return the full name of a node's service; a dot of the serial stays in the first label."""
    return f"{serial}.{SERVICE_TYPE}"


def _text(value: bytes | None) -> str:
    """Return a value as text; empty where it is none, is too long, or would move a terminal's cursor."""
    try:
        text = (value or b"").decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= _MOST_VALUE and text.isprintable() else ""
