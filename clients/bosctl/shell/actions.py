"""What each command does; the keys are those of the table of commands."""

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from bosd.v1 import battery_pb2 as pb
from bosd.v1 import clock_pb2 as cpb
from clients.bosctl.format_json import listing, rfc3339, status_document
from clients.bosctl.shell import accounts, making
from clients.bosctl.shell.context import Shell, Values

if TYPE_CHECKING:
    from rich.console import Console

SECONDS_PER_HOUR = 3600.0
DEFAULT_PORT = 4004


def _list(shell: Shell, values: Values) -> None:
    if "-l" in values:
        statuses = shell.node.statuses()
        shell.printer.draw(listing(statuses), lambda console: _draw_table(console, statuses))
        return
    entries = [entry for entry in shell.node.topology().entries if entry.kind != "splitter"]
    text = "\n".join(f"{entry.name} ({entry.kind})" for entry in entries) or "no batteries"
    shell.printer.show([{"name": entry.name, "kind": entry.kind} for entry in entries], text)


def _draw_table(console: "Console", statuses: list[pb.BatteryStatus]) -> None:
    from clients.bosctl.tables import status_table  # noqa: PLC0415 (JSON needs no tables)

    if statuses:
        console.print(status_table(statuses, console.width))
    else:
        console.print("no batteries")


def _stat(shell: Shell, values: Values) -> None:
    statuses = shell.node.statuses(values["NAME"])
    if shell.printer.as_json:
        for status in statuses:
            shell.printer.document(status_document(status))
        return

    def draw(console: "Console") -> None:
        from clients.bosctl.card import status_card  # noqa: PLC0415 (JSON needs no cards)

        for status in statuses:
            console.print(status_card(status))

    shell.printer.draw(None, draw)


def _current(shell: Shell, values: Values) -> None:
    shell.holds.ask(values["NAME"], values["AMPS"])


def _refresh(mode: Literal["active", "lazy"]) -> Callable[[Shell, Values], None]:
    def act(shell: Shell, values: Values) -> None:
        name = values["NAME"]
        if not shell.node.set_refresh(name, mode):
            shell.printer.note(f"{name} rests on no device of this node: there is nothing to read in the background")

    return act


def _refresh_once(shell: Shell, values: Values) -> None:
    shell.node.refresh(values["NAME"])


def clock_document(state: cpb.ClockState) -> dict[str, Any]:
    """Return a clock as the language calls it, with its time."""
    word = "DummyTime" if state.mode == cpb.CLOCK_MODE_SIMULATED else "SystemTime"
    return {"clock": word, "time": rfc3339(state.time), "time_s": state.time}


def _clock_get(shell: Shell, values: Values) -> None:
    del values
    document = clock_document(shell.node.clock())
    shell.printer.show(document, f"{document['clock']} {document['time']}")


def _clock_dummy(shell: Shell, values: Values) -> None:
    time = {"time": values["T"]} if "T" in values else {}
    shell.node.set_clock(mode=cpb.CLOCK_MODE_SIMULATED, **time)


def _clock_system(shell: Shell, values: Values) -> None:
    del values
    shell.node.set_clock(mode=cpb.CLOCK_MODE_SYSTEM)


def _tick(shell: Shell, values: Values) -> None:
    """Move time on; where it would outlast what is held, in steps between which that is asked for again."""
    left_s = values["HOURS"] * SECONDS_PER_HOUR
    while True:
        step_s = shell.holds.step_s()
        part_s = left_s if step_s is None else min(left_s, step_s)
        state = shell.node.tick(part_s)
        left_s -= part_s
        if left_s <= 0.0:
            break
        shell.holds.renew()
    shell.node.refresh_devices()
    document = clock_document(state)
    shell.printer.show(document, str(document["time"]))


def _time(shell: Shell, values: Values) -> None:
    del values
    document = clock_document(shell.node.clock())
    shell.printer.show({key: document[key] for key in ("time", "time_s")}, str(document["time"]))


def _visualize(shell: Shell, values: Values) -> None:
    del values
    from clients.bosctl.graph.picture import picture_document, picture_of  # noqa: PLC0415 (only where something is drawn)
    from clients.bosctl.graph.text import text_of  # noqa: PLC0415

    topology = shell.node.topology()
    picture = picture_of(topology, {status.name: status for status in shell.node.statuses()})

    def draw(console: "Console") -> None:
        text, _ = text_of(picture, unicode=console.encoding.startswith("utf"))
        print(text if topology.entries else "no batteries\n", end="")

    shell.printer.draw(picture_document(picture), draw)


def _server_start(shell: Shell, values: Values) -> None:
    address = shell.listeners.start(values.get("PORT", DEFAULT_PORT))
    shell.printer.show({"listening": address}, f"listening on {address}")


def _server_stop(shell: Shell, values: Values) -> None:
    address = shell.listeners.stop(values.get("PORT", DEFAULT_PORT))
    shell.printer.show({"closed": address}, f"no longer listening on {address}")


def _sleep(shell: Shell, values: Values) -> None:
    del shell
    threading.Event().wait(values["S"])


def _echo(shell: Shell, values: Values) -> None:
    text = " ".join(values.get("WORD", ()))
    shell.printer.show({"echo": text}, text)


ACTIONS: Mapping[str, Callable[[Shell, Values], None]] = {
    "list": _list,
    "stat": _stat,
    "current": _current,
    "ledger": accounts.ledger,
    "refresh enable": _refresh("active"),
    "refresh disable": _refresh("lazy"),
    "refresh once": _refresh_once,
    "clock get": _clock_get,
    "clock set DummyTime": _clock_dummy,
    "clock set SystemTime": _clock_system,
    "tick": _tick,
    "time": _time,
    "visualize": _visualize,
    "server start": _server_start,
    "server stop": _server_stop,
    "make null": making.make_null,
    "make battery": making.make_battery,
    "make pseudo": making.make_pseudo,
    "make aggregator": making.make_aggregator,
    "make splitter policy": making.make_policy,
    "make splitter battery": making.make_partition,
    "make network": making.make_network,
    "modify pseudo": making.modify,
    "remove": making.remove,
    "sleep": _sleep,
    "echo": _echo,
}
