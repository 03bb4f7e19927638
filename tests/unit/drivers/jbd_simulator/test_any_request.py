"""Whatever is asked and written, the board answers a well-formed frame and goes on."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bosd.drivers.jbd.simulator.options import TAILS
from tests.unit.drivers.jbd_simulator.bench_pack import Bench, read, write

registers = st.integers(0, 255)
words = st.integers(0, 0xFFFF).map(lambda word: f"{word:04x}")
requests = st.one_of(
    st.builds(read, registers, st.binary(max_size=4)),
    st.builds(write, registers, words),
    st.builds(write, st.integers(0x10, 0x47), words),
    st.builds(write, registers, st.binary(max_size=12).map(bytes.hex)),
    st.just(write(0x00, "5678")),
    st.just(write(0x01, "2828")),
    st.sampled_from([read(0x03), read(0x04), read(0xAA)]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(requests, st.floats(0.0, 40.0)), max_size=25), st.floats(-500.0, 500.0), st.sampled_from(TAILS))
def test_every_reply_is_well_formed(asked: list[tuple[bytes, float]], load_current_a: float, tail: str) -> None:
    """DD, the register, a status, a length that fits, the checksum of the protocol's formula, 77."""
    bench = Bench(load_current_a=load_current_a, tail=tail, block_parameters=True)
    for request, after_s in asked:
        reply = bench.ask(request, after_s=0.05 + after_s)
        assert (reply[0], reply[1], reply[-1]) == (0xDD, request[2], 0x77)
        assert reply[2] in (0x00, 0x80, 0x81, 0x83)
        assert len(reply) == reply[3] + 7
        assert int.from_bytes(reply[-3:-1], "big") == (0x10000 - sum(reply[2:-3])) % 0x10000
