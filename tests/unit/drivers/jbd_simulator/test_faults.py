"""Each fault does what it is called, when it should, and again with the same seed."""

import pytest

from bosd.drivers.jbd.simulator.faults import parse_rule
from bosd.errors import InvalidArgumentError
from tests.unit.drivers.jbd_simulator.bench_pack import BASIC, BYTE_S, CELLS, Bench


def make(**rule: object) -> Bench:
    """Return a bench with one fault."""
    bench = Bench()
    bench.injector.rules.append(parse_rule(rule, bench.now_s))
    return bench


def healthy() -> bytes:
    """Return the reply without a fault."""
    return Bench().ask(BASIC)


def test_drop_takes_count_replies_and_no_more() -> None:
    """Three, then health."""
    bench = make(fault="drop", count=3)
    assert [bool(bench.ask(BASIC)) for _ in range(5)] == [False, False, False, True, True]


def test_delay_holds_the_reply_back() -> None:
    """By delay_s on top of the turnaround."""
    bench = make(fault="delay", delay_s=0.7, count=1)
    (reply,) = bench.station.receive(BASIC, 2000.0)
    assert 0.710 <= reply.segments[0][0] - 2000.0 - 7 * BYTE_S <= 0.720


def test_corrupt_breaks_the_checksum_only() -> None:
    """One byte differs, the low one of the checksum."""
    pairs = zip(make(fault="corrupt").ask(BASIC), healthy(), strict=True)
    assert [index for index, (got, right) in enumerate(pairs) if got != right] == [len(healthy()) - 2]


def test_flip_bit_flips_one_bit() -> None:
    """Exactly one bit of the frame differs."""
    pairs = zip(make(fault="flip_bit").ask(BASIC), healthy(), strict=True)
    assert sum((got ^ right).bit_count() for got, right in pairs) == 1


@pytest.mark.parametrize("keep", [0, 1, 4, 20])
def test_truncate_keeps_the_first_bytes(keep: int) -> None:
    """Cut at k; nothing at all for 0."""
    assert make(fault="truncate", keep_bytes=keep).ask(BASIC) == healthy()[:keep]


def test_sleep_swallows_the_request_after_the_reply() -> None:
    """The board falls asleep once it has answered."""
    bench = make(fault="sleep", probability=1.0, count=1)
    assert [bool(bench.ask(BASIC)) for _ in range(4)] == [True, False, True, True]


def test_unplug_cuts_the_line_instead_of_answering() -> None:
    """The line is told for how long."""
    bench = make(fault="unplug", seconds=2.5, probability=1.0, count=1)
    cut: list[float] = []
    bench.station.unplug = cut.append
    assert bench.ask(BASIC) == b""
    assert cut == [2.5]


def test_a_schedule_bounds_when_and_where() -> None:
    """From after_s on, at most every every_s, on one register only."""
    bench = make(fault="drop", after_s=10.0, every_s=5.0, register=3)
    answered = []
    for _ in range(20):
        bench.now_s = round(bench.now_s) + 0.5
        answered.append((bool(bench.ask(BASIC)), bool(bench.ask(CELLS))))
    assert [index for index, (basic, _) in enumerate(answered) if not basic] == [10, 15]
    assert all(cells for _, cells in answered)


def test_probability_is_met_and_repeats_with_the_seed() -> None:
    """Of 1000 replies at 0.3 about 300 are dropped (5 sigma: 72), the same ones each time; each is on record."""

    def run() -> tuple[list[bool], Bench]:
        bench = make(fault="drop", probability=0.3)
        return [bool(bench.ask(BASIC)) for _ in range(1000)], bench

    (first, bench), (again, _) = run(), run()
    assert first == again
    assert abs(first.count(False) - 300) <= 72
    assert bench.injector.struck == first.count(False) == len(bench.noted)
    assert bench.noted[0]["fault"] == "drop"
    assert bench.noted[0]["before_hex"] != ""
    assert bench.noted[0]["after_hex"] == ""


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ({"fault": "explode"}, "fault"),
        ({}, "fault"),
        ({"fault": "drop", "delay_s": 1}, "delay_s"),
        ({"fault": "drop", "probability": 2}, "probability"),
        ({"fault": "drop", "count": 0}, "count"),
        ({"fault": "truncate", "keep_bytes": "x"}, "keep_bytes"),
        ({"fault": "unplug", "count": 3}, "every_s"),
    ],
)
def test_bad_rules_name_the_key(rule: dict[str, object], key: str) -> None:
    """What cannot be is refused with the key at fault."""
    with pytest.raises(InvalidArgumentError) as caught:
        parse_rule(rule, 0.0)
    assert caught.value.metadata["key"] == key
