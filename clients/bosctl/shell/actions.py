"""What each command does; the keys are those of the table of commands."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bosd.v1 import battery_pb2 as pb
from bosd.v1 import clock_pb2 as cpb
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.format_json import listing, rfc3339, status_document
from clients.bosctl.shell import accounts, tables
from clients.bosctl.shell.holds import Holds
from clients.bosctl.shell.node import ShellNode
from clients.bosctl.shell.printing import Printer

if TYPE_CHECKING:
    from rich.console import Console

Values = Mapping[str, Any]
SECONDS_PER_HOUR = 3600.0
DEFAULT_PORT = 4004
LOOPBACK = "127.0.0.1"


class Listeners(Protocol):
    """Where a node can be reached by other nodes."""

    def start(self, port: int) -> str:
        """Listen on a port of loopback; return the address. Raises Failure."""
        ...

    def stop(self, port: int) -> str:
        """Listen there no more; return the address. Raises Failure."""
        ...


@dataclass(frozen=True, slots=True)
class Shell:
    """What commands act on."""

    node: ShellNode
    printer: Printer
    holds: Holds
    listeners: Listeners


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


def _make_null(shell: Shell, values: Values) -> None:
    shell.node.add(tables.null_table(values["NAME"], values["VOLTAGE"]))


def _make_battery(shell: Shell, values: Values) -> None:
    name = values["NAME"]
    shell.node.add_sampled(name, tables.jbd_table(name, values["IFACE"], values["ADDRESS"]))
    limit_a = tables.BATTERY_LIMIT_A
    document = {
        "name": name,
        "ideal_max_discharge_current_a": limit_a,
        "ideal_max_charge_current_a": limit_a,
        "current_control": "none",
    }
    text = f"{name}: ideal limits set to {limit_a:g} A both ways, current_control none: it cannot follow a set point"
    shell.printer.show(document, text)


def _make_pseudo(shell: Shell, values: Values) -> None:
    name, pairs = values["NAME"], values["k=v[,k=v]..."]
    shell.node.add(tables.pseudo_table(name, pairs))
    if pairs.get("current_a", 0.0) != 0.0:
        try:
            shell.holds.ask(name, pairs["current_a"])
        except Failure:
            shell.node.remove(name)
            raise


def _make_aggregator(shell: Shell, values: Values) -> None:
    name, sources = values["NAME"], values["SRC[,SRC]..."]
    shell.node.add(tables.aggregator_table(name, sources, values["VOLTAGE"], values["TOLERANCE"]))


def _make_policy(shell: Shell, values: Values) -> None:
    shell.node.add(tables.splitter_table(values["NAME"], values["POLICY"], values["SOURCE"], values["FIRST_PARTITION"]))


_DONOR_FIELDS: Mapping[str, str] = {
    "charge_ah": "charge_ah",
    "capacity_ah": "capacity_ah",
    "max_discharge_current_a": "ideal_max_discharge_current_a",
    "max_charge_current_a": "ideal_max_charge_current_a",
}
"""What a donor has of each thing that can be split off: limits are shared by the ideal ones (bal.md, "Splitters")."""


def _make_partition(shell: Shell, values: Values) -> None:
    """Split off what is asked, at most what the donor has; say what was given."""
    name, donor, pairs = values["NAME"], values["FROM_PARTITION"], values["k=v[,k=v]..."]
    status = shell.node.status(donor)
    given: dict[str, float] = {}
    for field, has in _DONOR_FIELDS.items():
        if field in pairs:
            given[field] = max(0.0, min(pairs[field], getattr(status, has)) if status.HasField(has) else pairs[field])
    shell.node.split(name, values["POLICY"], donor, given)
    asked = {field: pairs[field] for field in given}
    left_out = [field for field in pairs if field not in given]
    shown = ", ".join(
        f"{field} {given[field]:g}" + (f" of {asked[field]:g} asked" if given[field] != asked[field] else "") for field in given
    )
    text = f"{name}: {shown or 'nothing asked'}, from {donor}" + (f"; not its own: {', '.join(left_out)}" if left_out else "")
    shell.printer.show({"name": name, "from": donor, "asked": asked, "given": given, "ignored": left_out}, text)


def _make_network(shell: Shell, values: Values) -> None:
    name = values["NAME"]
    shell.node.add_sampled(name, tables.network_table(name, values["REMOTE_NAME"], values["HOST"], values["PORT"]))


def _modify(shell: Shell, values: Values) -> None:
    name, pairs = values["NAME"], dict(values["k=v[,k=v]..."])
    current_a = pairs.pop("current_a", None)
    if pairs:
        shell.node.modify(name, pairs)
    if current_a is not None:
        shell.holds.ask(name, current_a)


def _remove(shell: Shell, values: Values) -> None:
    shell.node.remove(values["NAME"])


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
    "make null": _make_null,
    "make battery": _make_battery,
    "make pseudo": _make_pseudo,
    "make aggregator": _make_aggregator,
    "make splitter policy": _make_policy,
    "make splitter battery": _make_partition,
    "make network": _make_network,
    "modify pseudo": _modify,
    "remove": _remove,
    "sleep": _sleep,
    "echo": _echo,
}


class TargetListeners:
    """The listeners of a daemon of its own: its configuration says where it listens, not a shell."""

    def __init__(self, target: str) -> None:
        self._target = target

    def start(self, port: int) -> str:
        """Return where the node listens already. Raises Failure for another port."""
        self._check(port, "start")
        return self._target

    def stop(self, port: int) -> str:
        """Refuse: others may be served."""
        raise self._refusal(f"the node at {self._target} listens where its configuration says; stop the daemon itself", port)

    def _check(self, port: int, verb: str) -> None:
        if self._target.rpartition(":")[2] != str(port):
            message = f"the node at {self._target} listens where its configuration says; server {verb} {port} needs --local"
            raise self._refusal(message, port)

    @staticmethod
    def _refusal(message: str, port: int) -> Failure:
        return Failure(ExitStatus.REFUSED, "UNSUPPORTED", message, {"port": str(port)})
