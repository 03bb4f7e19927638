"""The commands that build: `make`, `modify`, `remove`."""

from collections.abc import Mapping

from clients.bosctl.errors import Failure
from clients.bosctl.shell import tables
from clients.bosctl.shell.context import Shell, Values


def make_null(shell: Shell, values: Values) -> None:
    """Add a null battery."""
    shell.node.add(tables.null_table(values["NAME"], values["VOLTAGE"]))


def make_battery(shell: Shell, values: Values) -> None:
    """Add a pack and wait for its first sample; say which limits it got."""
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


def make_pseudo(shell: Shell, values: Values) -> None:
    """Add a pseudo battery, and ask it for its current."""
    name, pairs = values["NAME"], values["k=v[,k=v]..."]
    shell.node.add(tables.pseudo_table(name, pairs))
    if pairs.get("current_a", 0.0) != 0.0:
        try:
            shell.holds.ask(name, pairs["current_a"])
        except Failure:
            shell.node.remove(name)
            raise


def make_aggregator(shell: Shell, values: Values) -> None:
    """Add an aggregator."""
    name, sources = values["NAME"], values["SRC[,SRC]..."]
    shell.node.add(tables.aggregator_table(name, sources, values["VOLTAGE"], values["TOLERANCE"]))


def make_policy(shell: Shell, values: Values) -> None:
    """Add a splitter with its first partition."""
    shell.node.add(tables.splitter_table(values["NAME"], values["POLICY"], values["SOURCE"], values["FIRST_PARTITION"]))


_DONOR_FIELDS: Mapping[str, str] = {
    "charge_ah": "charge_ah",
    "capacity_ah": "capacity_ah",
    "max_discharge_current_a": "ideal_max_discharge_current_a",
    "max_charge_current_a": "ideal_max_charge_current_a",
}
"""What a donor has of each thing that can be split off: limits are shared by the ideal ones (bal.md, "Splitters")."""


def make_partition(shell: Shell, values: Values) -> None:
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


def make_network(shell: Shell, values: Values) -> None:
    """Add a stub and wait for its first sample."""
    name = values["NAME"]
    shell.node.add_sampled(name, tables.network_table(name, values["REMOTE_NAME"], values["HOST"], values["PORT"]))


def modify(shell: Shell, values: Values) -> None:
    """Change what a pseudo battery reports, or the current it is asked for."""
    name, pairs = values["NAME"], dict(values["k=v[,k=v]..."])
    current_a = pairs.pop("current_a", None)
    if pairs:
        shell.node.modify(name, pairs)
    if current_a is not None:
        shell.holds.ask(name, current_a)


def remove(shell: Shell, values: Values) -> None:
    """Remove a battery or a policy."""
    shell.node.remove(values["NAME"])
