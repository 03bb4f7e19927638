"""Backups of a device's settings: they read back equal, are refused with a reason, and compare by raw words."""

import json
from dataclasses import replace

import pytest

from bosd.drivers.configuration import FORMAT, Configuration, Setting, differences, from_json, to_json
from bosd.errors import InvalidArgumentError

KEPT = Configuration(
    battery="b1",
    kind="jbd",
    port="/dev/ttyUSB0",
    read_at="2026-11-29T15:00:00Z",
    identity={"hardware": "JBD-SP04S034"},
    settings={
        "0x17": Setting("cycles", 3, "3", "", counts=True),
        "0x24": Setting("cell_overvoltage", 0x0E42, "3650", "mV"),
        "0x28": Setting("charge_overcurrent", 0x59D8, "230", "A"),
    },
    missing={"0x40": "refused with 80"},
)


def test_reads_back_equal() -> None:
    """What is kept is what was read."""
    assert from_json(to_json(KEPT), "b1.json") == KEPT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Expecting value"),
        ("[]", f'its "format" is not "{FORMAT}"'),
        ("{}", f'its "format" is not "{FORMAT}"'),
        (json.dumps({"format": FORMAT}), "'settings' is missing"),
        (to_json(KEPT).replace('"raw": 3650', '"raw": "3650"'), "a setting without its raw word"),
        (to_json(KEPT).replace('"unit"', '"units"'), "unexpected keyword argument"),
        (to_json(KEPT).replace('"battery": "b1"', '"battery": 1'), "are texts"),
        ("[" * 100_000, "recursion"),
        ("[node]\n", "no backup of a device, which is JSON"),
    ],
)
def test_no_backup(text: str, said: str) -> None:
    """The file is named, and what is wrong with it."""
    with pytest.raises(InvalidArgumentError, match=r"^b1\.json: ") as caught:
        from_json(text, "b1.json")
    assert said in caught.value.message


def test_differences() -> None:
    """By raw word and address; what counts by itself does not matter; one side alone is a difference."""
    settings = {
        "0x17": Setting("cycles", 4, "4", "", counts=True),
        "0x24": Setting("cell_overvoltage", 0x0E42, "other words for the same", "mV"),
        "0x29": Setting("discharge_overcurrent", 0xA628, "-230", "A"),
    }
    found = differences(KEPT, replace(KEPT, settings=settings))
    assert [(each.address, each.kept is None, each.now is None, each.matters) for each in found] == [
        ("0x17", False, False, False),
        ("0x28", False, True, True),
        ("0x29", True, False, True),
    ]
    assert differences(KEPT, KEPT) == ()
