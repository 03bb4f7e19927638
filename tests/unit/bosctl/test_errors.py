"""One line an error: how bad, what, where, why, how old, and the remedy."""

from bosd.v1 import errors_pb2 as pb
from clients.bosctl.commands.errors import error_document, line


def test_a_line_names_place_cause_age_and_remedy() -> None:
    """A followed node's error, over two lines of text, in one."""
    error = pb.NodeError(
        type="DEVICE_UNREACHABLE",
        severity=pb.SEVERITY_MEDIUM,
        message="no answer\nsince 3 s",
        node="far",
        module="devices",
        battery="pack",
        state=pb.ERROR_STATE_ACTIVE,
        repeats=2,
        age_s=4.2,
        via=["middle", "far"],
    )
    assert line(error) == (
        "MEDIUM  DEVICE_UNREACHABLE  far/pack: no answer since 3 s (again 2 times) [heard 4 s ago through middle, far]"
        " -> check the battery's cable, port and power"
    )


def test_what_a_newer_node_tells_is_passed_on() -> None:
    """An unknown type has no remedy, an unknown severity its number."""
    error = pb.NodeError(type="NEWER", sub_type="x", node="far", state=pb.ERROR_STATE_CLEARED)
    error.MergeFromString(b"\x20\x09")  # field 4, severity: 9
    assert line(error) == "9       NEWER/x  far [cleared]"
    assert (error_document(error)["severity"], error_document(error)["remedy"]) == ("9", None)
