"""Bluetooth LE against modules behind bleak's own backend interface; there is no radio."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from bosd.clock import LoopClock
from bosd.drivers.ble import CONNECT_S, SETTLE_S, BleTransport, scan
from bosd.drivers.ble_modules import DH04, JBD, NORDIC_UART, Advert, Profile, parse_address
from bosd.drivers.ble_radio import BACK_OFF_S, Radio
from bosd.drivers.jbd.driver import JbdDriver
from bosd.drivers.jbd.simulator import JbdSimulator, SimulatorOptions
from bosd.drivers.jbd.unlock import Unlock
from bosd.drivers.line import Line
from bosd.drivers.transport import open_transport
from bosd.errors import BosError, ConfigError, DriverError, UnavailableError
from tests.support.air import Air, Module, other_central

pytestmark = pytest.mark.jumping

ADDRESS = "A4:C1:37:04:2D:BE"
OTHER = "A4:C1:37:04:2D:BF"
PASSWORD = "123456"  # noqa: S105 (of a module that does not exist)


class Bench:
    """Modules in the air and drivers on them, with one radio between."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.air = Air()
        self.radio = Radio()
        self._stack = stack

    async def module(self, address: str = ADDRESS, *, profile: Profile = JBD, **options: object) -> Module:
        """Add a module with a simulated pack; `options` are the pack's."""
        board = await self._stack.enter_async_context(JbdSimulator(SimulatorOptions(**options)))  # type: ignore[arg-type]
        return self.air.add(Module(address, board, profile=profile))

    def line(self, address: str = ADDRESS, *, greeting: Unlock | None = None) -> Line:
        """Return a line through the air."""
        return Line(BleTransport(f"ble://{address}", greeting=greeting, radio=self.radio, backend=self.air.backend()))

    def driver(self, line: Line) -> JbdDriver:
        """Return a driver on it."""
        return JbdDriver(line, LoopClock(asyncio.get_running_loop()), name="b1")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Provide a bench whose packs end with the test."""
    async with AsyncExitStack() as stack:
        yield Bench(stack)


async def until_free(module: Module) -> None:
    """Wait until nobody is connected to `module`."""
    async with asyncio.timeout(10):
        while module.central is not None:  # noqa: ASYNC110  the module knows, and tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("profile", [JBD, DH04, NORDIC_UART], ids=["ff00", "fff0", "nordic"])
async def test_reads_through_pieces(bench: Bench, profile: Profile) -> None:
    """A 16S pack is read through each kind of module, whose notifications carry 20 bytes at most, whatever they cut."""
    module = await bench.module(profile=profile, series=16, tail="standard")
    driver = bench.driver(bench.line())
    for _ in range(3):
        sample = await driver.read()
        assert sample.cells_v is not None
        assert len(sample.cells_v) == 16
        assert sample.voltage_v == pytest.approx(sum(sample.cells_v), abs=0.05)
    # 0x03: 30 + 2 sensors x 2 + 9 tail = 43 bytes; 0x04: 7 + 16 x 2 = 39 bytes
    sizes = [len(piece) for piece in module.pieces]
    assert sizes[:5] == [20, 20, 3, 20, 19]
    assert max(sizes) == 20
    await driver.close()
    await until_free(module)


@pytest.mark.parametrize("size", [1, 7, 34, 200])
async def test_any_size_of_piece(bench: Bench, size: int) -> None:
    """How a module cuts makes no difference: byte by byte, or a whole reply at once."""
    module = await bench.module()
    module.piece_bytes = size
    sample = await bench.driver(bench.line()).read()
    assert sample.cells_v is not None
    assert len(sample.cells_v) == 4


async def test_the_first_request_waits(bench: Bench) -> None:
    """Nothing is written in the first 0.5 s of notifications, so the first read needs one attempt (complaint 4)."""
    module = await bench.module()
    line = bench.line()
    await bench.driver(line).read()
    assert module.written[0][0] - module.notifies_from_s >= SETTLE_S
    assert (line.counters["requests"], line.counters["attempts"]) == (2, 2)


@pytest.mark.parametrize("answers", [False, True])
async def test_writes_are_cut(bench: Bench, answers: bool) -> None:
    """A characteristic gets no more bytes than it takes at a time, with and without its own answer."""
    module = await bench.module()
    module.answers_writes = answers
    line = bench.line()
    transport = line._transport
    await transport.open(line)
    transport.write(bytes(range(50)))
    await asyncio.sleep(1)
    assert [len(data) for _, data in module.written] == [20, 20, 10]
    assert b"".join(data for _, data in module.written) == bytes(range(50))


async def test_heartbeats_are_dropped(bench: Bench) -> None:
    """What comes unasked and is no frame of a JBD board is dropped and counted, also between request and reply."""
    module = await bench.module(turnaround_ms=(500.0, 500.0))
    line = bench.line()
    driver = bench.driver(line)
    await driver.read()
    loop = asyncio.get_running_loop()
    for at_s in (0.05, 0.2, 0.4):
        loop.call_later(at_s, module.say, b"\xaa\x55\x90\xeb\x01")
    await driver.read()
    transport = line._transport
    assert isinstance(transport, BleTransport)
    assert transport.dropped_bytes == 15
    assert line.counters["attempts"] == line.counters["requests"]


async def test_a_lost_piece_costs_one_attempt(bench: Bench) -> None:
    """A reply with a piece missing is never published; the next attempt brings it (complaint 1)."""
    module = await bench.module()
    line = bench.line()
    driver = bench.driver(line)
    before = await driver.read()
    module.lost_pieces = 1
    after = await driver.read()
    assert (after.voltage_v, after.cells_v) == (before.voltage_v, before.cells_v)
    assert line.counters["attempts"] == line.counters["requests"] + 1


async def test_disconnected_in_mid_reply(bench: Bench) -> None:
    """A connection that ends between two pieces fails the read at once, by name; the next one connects again."""
    module = await bench.module()
    line = bench.line()
    driver = bench.driver(line)
    await driver.read()
    module.cut_after_pieces = 1
    with pytest.raises(UnavailableError, match=f"ble://{ADDRESS}: disconnected"):
        await driver.read()
    assert (await driver.read()).cells_v is not None
    assert (module.connections, line.counters["losses"]) == (2, 1)


async def test_a_hung_write_drops_the_connection(bench: Bench) -> None:
    """A module that takes no bytes is let go after 2 s, and connected to anew once it is well."""
    module = await bench.module()
    driver = bench.driver(bench.line())
    await driver.read()
    module.takes_writes = False
    with pytest.raises(UnavailableError, match="takes no bytes"):
        await driver.read()
    await until_free(module)
    module.takes_writes = True
    assert (await driver.read()).cells_v is not None


async def test_a_silent_connection_is_dropped(bench: Bench) -> None:
    """A module that is connected but says nothing is disconnected after three attempts."""
    module = await bench.module()
    line = bench.line()
    driver = bench.driver(line)
    await driver.read()
    module.lost_pieces = 1000
    with pytest.raises(UnavailableError, match="no answer"):
        await driver.read()
    await until_free(module)
    module.lost_pieces = 0
    assert (await driver.read()).cells_v is not None
    assert module.connections == 2


async def test_never_connecting(bench: Bench) -> None:
    """An attempt that hangs ends after 20 s; its pauses grow to 10 s, and nothing is tried sooner (complaint 7: no storms)."""
    module = await bench.module()
    module.connects = False
    driver = bench.driver(bench.line())
    loop = asyncio.get_running_loop()
    for pause_s in (*BACK_OFF_S, BACK_OFF_S[-1]):
        began_s = loop.time()
        with pytest.raises(UnavailableError, match="no connection within 20 s"):
            await driver.read()
        assert loop.time() - began_s == pytest.approx(CONNECT_S, abs=0.2)
        attempts = len(bench.air.attempts)
        with pytest.raises(UnavailableError, match="no connection within 20 s; next attempt in"):
            await driver.read()
        await asyncio.sleep(pause_s - 0.01)
        with pytest.raises(UnavailableError, match="next attempt in"):
            await driver.read()
        assert len(bench.air.attempts) == attempts
        await asyncio.sleep(0.02)
    module.connects = True
    assert (await driver.read()).cells_v is not None


async def test_connected_but_no_services(bench: Bench) -> None:
    """A connection that hangs while its services are asked for is dropped after 20 s, so that others can connect."""
    module = await bench.module()
    module.discovers = False
    driver = bench.driver(bench.line())
    with pytest.raises(UnavailableError, match="no connection within 20 s"):
        await driver.read()
    assert module.central is None
    module.discovers = True
    await asyncio.sleep(BACK_OFF_S[0])
    assert (await driver.read()).cells_v is not None


async def test_two_batteries_on_one_adapter(bench: Bench) -> None:
    """One that never connects holds the adapter no longer than its turn, and never together with another."""
    dead = await bench.module(OTHER)
    dead.connects = False
    alive = await bench.module()
    good, bad = bench.driver(bench.line()), bench.driver(bench.line(OTHER))
    loop = asyncio.get_running_loop()
    samples: list[float] = []

    async def poll(driver: JbdDriver, *, until_s: float) -> None:
        while loop.time() < until_s:
            try:
                await driver.read()
            except UnavailableError:
                await asyncio.sleep(2)
                continue
            if driver is good:
                samples.append(loop.time())
            await asyncio.sleep(1)

    async def cut() -> None:
        for _ in range(5):
            await asyncio.sleep(60)
            alive.hang_up()

    await asyncio.gather(poll(good, until_s=400), poll(bad, until_s=400), cut())
    gaps = [after - before for before, after in pairwise(samples)]
    # it waits for at most one turn of the other (20 s and 0.05 s to let go), the refresher's 2 s and its own connection
    assert max(gaps) < CONNECT_S + 2 + 3
    assert len(samples) > 250
    assert bench.air.most_at_once == 1


async def test_eight_packs_take_turns(bench: Bench) -> None:
    """Packs that all come back at once are connected to one after the other, in the order in which they asked."""
    addresses = [f"A4:C1:37:04:2D:{number:02X}" for number in range(8)]
    for number, address in enumerate(addresses):
        await bench.module(address, series=number + 1)
    drivers = [bench.driver(bench.line(address)) for address in addresses]
    samples = await asyncio.gather(*(driver.read() for driver in drivers))
    assert [len(sample.cells_v or ()) for sample in samples] == list(range(1, 9))
    assert [address for _, address in bench.air.attempts] == addresses
    assert bench.air.most_at_once == 1


async def test_too_many_in_line(bench: Bench) -> None:
    """A turn is refused where 64 wait already."""
    async with asyncio.TaskGroup() as group:
        for number in range(65):
            group.create_task(_hold(bench.radio, f"b{number}"))
        await asyncio.sleep(0.1)
        with pytest.raises(UnavailableError, match="late: 64 others wait for the Bluetooth adapter, b0 has it"):
            async with bench.radio.turn("late"):
                pass


async def _hold(radio: Radio, who: str) -> None:
    async with radio.turn(who):
        await asyncio.sleep(1)


async def test_taken_by_somebody_else(bench: Bench) -> None:
    """A module that a phone is connected to does not advertise: the error says what that can mean."""
    module = await bench.module()
    phone = other_central(bench.air, module)
    driver = bench.driver(bench.line())
    with pytest.raises(UnavailableError, match="not heard within 10 s; it is out of reach, asleep, or connected to another"):
        await driver.read()
    await phone.disconnect()
    module.hang_up()
    await asyncio.sleep(BACK_OFF_S[0])
    assert (await driver.read()).cells_v is not None


async def test_takes_over_what_a_dead_program_left(bench: Bench) -> None:
    """A connection that the system kept after its program died is used: such a module does not advertise."""
    module = await bench.module()
    left = bench.air.backend().client
    assert left is not None
    await left(ADDRESS, disconnected_callback=None, timeout=1.0).connect(pair=False)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    assert (await bench.driver(bench.line()).read()).cells_v is not None
    # no scan: connecting 0.3 s, notifications 0.02 s, settling 0.5 s, two reads of about 0.1 s
    assert loop.time() - began_s < 1.2
    assert module.connections == 2


async def test_switched_off(bench: Bench) -> None:
    """An adapter without power is named, and found again when it has some."""
    await bench.module()
    bench.air.powered = False
    driver = bench.driver(bench.line())
    with pytest.raises(UnavailableError, match="no Bluetooth: the adapter is switched off"):
        await driver.read()
    bench.air.powered = True
    await asyncio.sleep(BACK_OFF_S[0])
    assert (await driver.read()).cells_v is not None


async def test_no_serial_service(bench: Bench) -> None:
    """A device without a serial service is refused with what it has."""
    await bench.module(profile=Profile("ffe0", "ffe1", "ffe2"))
    with pytest.raises(UnavailableError, match=r"no serial service .*0000ffe0-0000-1000-8000-00805f9b34fb"):
        await bench.driver(bench.line()).read()


async def test_password(bench: Bench) -> None:
    """A locked module passes nothing on until it was told the password (complaint 6)."""
    module = await bench.module()
    module.password = PASSWORD
    with pytest.raises(UnavailableError, match="no answer"):
        await bench.driver(bench.line()).read()
    await until_free(module)
    driver = bench.driver(bench.line(greeting=Unlock(PASSWORD)))
    assert (await driver.read()).cells_v is not None
    module.hang_up()
    assert (await driver.read()).cells_v is not None


async def test_wrong_password(bench: Bench) -> None:
    """A module that refuses says so by name, is let go, and is not asked again and again."""
    module = await bench.module()
    module.password = PASSWORD
    driver = bench.driver(bench.line(greeting=Unlock("654321")))
    with pytest.raises(DriverError, match=f"ble://{ADDRESS}: the Bluetooth module refuses the password in ble_password_file"):
        await driver.read()
    await until_free(module)
    with pytest.raises(UnavailableError, match=r"refuses the password.*next attempt in"):
        await driver.read()


async def test_no_password_needed(bench: Bench) -> None:
    """A module that needs no password is open after the first answer."""
    module = await bench.module()
    assert (await bench.driver(bench.line(greeting=Unlock(PASSWORD))).read()).cells_v is not None
    assert sum(data[:2] == b"\xff\xaa" for _, data in module.written) == 1


async def test_a_module_that_knows_no_passwords(bench: Bench) -> None:
    """One that does not answer the exchange is named after 2 s."""
    module = await bench.module()
    module.lost_pieces = 1
    with pytest.raises(UnavailableError, match="no answer to the password"):
        await bench.driver(bench.line(greeting=Unlock(PASSWORD))).read()


async def test_cancelled_anywhere(bench: Bench) -> None:
    """A read that is given up at any instant leaves the module free soon after, the adapter too, and the next read works."""
    module = await bench.module()
    loop = asyncio.get_running_loop()
    for number in range(60):
        driver = bench.driver(bench.line())
        began_s = loop.time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.025 * number):
                await driver.read()
                await asyncio.sleep(10)
        assert loop.time() == pytest.approx(began_s + 0.025 * number)
        await driver.close()
        await asyncio.sleep(0.1)  # disconnecting takes 0.05 s
        assert (bench.radio.holder, module.central) == ("", None)
    assert (await bench.driver(bench.line()).read()).cells_v is not None


async def test_closed_and_opened_at_once(bench: Bench) -> None:
    """A port that is opened while its last connection is being ended waits for that end, also on another line."""
    module = await bench.module()
    module.disconnecting_s = 0.6
    for _ in range(5):
        driver = bench.driver(bench.line())
        assert (await driver.read()).cells_v is not None
        await driver.close()
    await until_free(module)
    assert module.connections == 5


async def test_ten_minutes_of_chance(bench: Bench) -> None:
    """Pieces and connections lost at random: no wrong value ever, and a sample in two of three seconds."""
    module = await bench.module(series=8, load_current_a=10.0)
    board = module.board
    assert board is not None
    driver = bench.driver(bench.line())
    loop = asyncio.get_running_loop()
    chance = board.options.rng("air")
    good = 0
    while loop.time() < 600:
        kind = chance.random()
        if kind < 0.02:
            module.lost_pieces = chance.randint(1, 4)
        elif kind < 0.03:
            module.hang_up()
        elif kind < 0.04:
            module.cut_after_pieces = chance.randint(1, 3)
        try:
            sample = await driver.read()
        except BosError:
            await asyncio.sleep(2)
            continue
        good += 1
        assert sample.cells_v is not None or sample.notes
        assert sample.voltage_v is not None
        if sample.cells_v is not None and sample.cells_s == sample.sampled_s:
            assert sample.voltage_v == pytest.approx(sum(sample.cells_v), abs=0.05)
        assert sample.current_a == pytest.approx(10.0, abs=0.02)
        await asyncio.sleep(1)
    assert good > 400
    await driver.close()
    await until_free(module)


async def test_scan(bench: Bench) -> None:
    """A scan reports who advertises, once, with the services that say what it is."""
    await bench.module()
    await bench.module(OTHER, profile=DH04)
    heard: list[Advert] = []
    await scan(5, heard.append, bench.radio, bench.air.backend())
    assert [(advert.address, advert.speaks_jbd, advert.rssi_dbm) for advert in heard] == [
        (ADDRESS, True, -60),
        (OTHER, False, -60),
    ]
    bench.air.powered = False
    with pytest.raises(UnavailableError, match="no Bluetooth: the adapter is switched off"):
        await scan(5, heard.append, bench.radio, bench.air.backend())


@pytest.mark.parametrize("port", ["ble://", "ble://AA:BB", "ble://AA:BB:CC:DD:EE:GG", "ble://AA:BB:CC:DD:EE:FF:00", "ble://x/AA"])
async def test_malformed_address(port: str) -> None:
    """What is no address is refused with the form of one."""
    with pytest.raises(ConfigError, match="expected ble://AA:BB:CC:DD:EE:FF"):
        open_transport(port)


async def test_address() -> None:
    """Case does not matter; an adapter may be named."""
    assert parse_address("ble://aa:bb:cc:dd:ee:ff") == ("", "AA:BB:CC:DD:EE:FF")
    assert parse_address("ble://hci1/AA:BB:CC:DD:EE:FF") == ("hci1", "AA:BB:CC:DD:EE:FF")
    assert isinstance(open_transport("ble://AA:BB:CC:DD:EE:FF"), BleTransport)
