"""Statuses for people: one as a card."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bosd.v1 import battery_pb2 as pb
from clients.bosctl import format_text as text
from clients.bosctl.format_json import link_word, source_word
from clients.bosctl.tables import age_text, quality_text

LEAST_CURRENT_A = 0.005
"""Below this a battery rests, as far as two digits show."""
SECONDS_PER_HOUR = 3600.0


def status_card(status: pb.BatteryStatus) -> RenderableType:
    """Return everything about one battery, top down."""
    head = Text.assemble((status.name, "bold"), f"  {status.kind}  ", quality_text(status), "  age ", age_text(status))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in _card_rows(status):
        grid.add_row(label, Text(value))
    return Group(head, grid)


def _card_rows(status: pb.BatteryStatus) -> list[tuple[str, str]]:
    current_a = text.optional(status, "current_a")
    rows = [
        ("voltage", _measure(status, "voltage_v", "V", 3)),
        ("current", text.with_unit(text.signed(current_a), "A") + _direction(current_a)),
        ("power", text.with_unit(text.signed(text.optional(status, "power_w"), 1), "W")),
        ("charge", _charge(status)),
        ("state of charge", text.with_unit(text.percent(text.optional(status, "soc")), "%")),
        ("usable charge", _pair(status, "usable_charge_ah", "balanced_usable_charge_ah", "balanced")),
        *_times(status, current_a),
        ("expected charge", _measure(status, "expected_charge_ah", "Ah") + _unobserved(status)),
        ("may discharge", _limit(status, "max_discharge_current_a")),
        ("may charge", _limit(status, "max_charge_current_a")),
        ("set point", _setpoint(status)),
        ("commandable", "yes" if status.commandable else "no"),
        ("link", link_word(status.link) or "unknown"),
        ("sampled", _sampled(status)),
    ]
    rows += _physical_rows(status)
    if status.HasField("unallocated_ah"):
        rows.append(("unallocated", _measure(status, "unallocated_ah", "Ah")))
    if len(status.path) > 1:
        rows.append(("path", ", ".join(status.path)))
    if status.reason:
        rows.append(("reason", status.reason))
    return rows


def _times(status: pb.BatteryStatus, current_a: float | None) -> list[tuple[str, str]]:
    """Return the time to empty, or to full, at the present current.

    Nothing at rest, where charge is unknown, and where it flows though nothing may be drawn now.
    """
    if current_a is None or abs(current_a) < LEAST_CURRENT_A:
        return []
    usable_ah, charge_ah, capacity_ah = (
        text.optional(status, field) for field in ("usable_charge_ah", "charge_ah", "capacity_ah")
    )
    if current_a > 0.0:
        barred = not usable_ah and status.balanced_usable_charge_ah
        return [] if usable_ah is None or barred else [("empty in", text.duration(usable_ah / current_a * SECONDS_PER_HOUR))]
    if charge_ah is None or capacity_ah is None:
        return []
    return [("full in", text.duration(max(0.0, capacity_ah - charge_ah) / -current_a * SECONDS_PER_HOUR))]


def _physical_rows(status: pb.BatteryStatus) -> list[tuple[str, str]]:
    rows = []
    if status.cells_v:
        spread_v = max(status.cells_v) - min(status.cells_v)
        cells = "  ".join(f"{cell:.3f}" for cell in status.cells_v)
        rows.append(("cells", f"{cells} V, spread {1000.0 * spread_v:.0f} mV"))
    if status.temperatures_c:
        rows.append(("temperatures", "  ".join(f"{value:.1f}" for value in status.temperatures_c) + " °C"))
    if status.HasField("charge_switch_closed"):
        charge, discharge = (
            "closed" if closed else "open" for closed in (status.charge_switch_closed, status.discharge_switch_closed)
        )
        rows.append(("switches", f"charge {charge}, discharge {discharge}"))
    if status.balancing_cells:
        rows.append(("balancing", f"cells {', '.join(map(str, status.balancing_cells))}"))
    if status.HasField("cycles"):
        rows.append(("cycles", str(status.cycles)))
    if status.faults:
        rows.append(("faults", ", ".join(status.faults)))
    elif status.cells_v or status.temperatures_c:
        rows.append(("faults", "none"))
    return rows


def _measure(status: pb.BatteryStatus, field: str, unit: str, digits: int = 2) -> str:
    return text.with_unit(text.fixed(text.optional(status, field), digits), unit)


def _charge(status: pb.BatteryStatus) -> str:
    charge, capacity = (text.fixed(text.optional(status, field)) for field in ("charge_ah", "capacity_ah"))
    return "unknown" if (charge, capacity) == (text.UNKNOWN, text.UNKNOWN) else f"{charge} of {capacity} Ah"


def _pair(status: pb.BatteryStatus, now: str, best: str, label: str) -> str:
    beside = f", {label} {_measure(status, best, 'Ah')}" if status.HasField(best) else ""
    return f"{_measure(status, now, 'Ah')}{beside}"


def _unobserved(status: pb.BatteryStatus) -> str:
    return f", {text.duration(status.unobserved_s)} of it unobserved" if status.unobserved_s else ""


def _direction(current_a: float | None) -> str:
    if current_a is None or current_a == 0.0:
        return ""
    return " (discharging)" if current_a > 0.0 else " (charging)"


def _limit(status: pb.BatteryStatus, field: str) -> str:
    return f"{getattr(status, field):.2f} A now, at best {_measure(status, f'ideal_{field}', 'A')}"


def _setpoint(status: pb.BatteryStatus) -> str:
    if not status.HasField("requested_current_a") and not status.applied_current_a:
        return "none"
    source = source_word(status.setpoint_source)
    until = f", until {text.moment(status.setpoint_ends_at)}" if status.HasField("setpoint_ends_at") else ""
    asked = " asked" if " of " in text.setpoint(status) else ""
    holder = f" by {status.holder}" if status.holder else ""
    return f"{text.setpoint(status)} A{asked}{f', {source}' if source else ''}{holder}{until}"


def _sampled(status: pb.BatteryStatus) -> str:
    if not status.HasField("sampled_from"):
        return "never"
    first, last = text.moment(status.sampled_from), text.moment(status.sampled_to)
    return first if first == last else f"{first} to {last}"
