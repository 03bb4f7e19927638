"""Whether a node has an `[eebus]` section at work: one without it loads nothing of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bosd.config import Config
from bosd.node.audit import AuditLog
from bosd.node.node import Node
from bosd.store.store import Store

if TYPE_CHECKING:
    from bosd.limits.lpc.port import LimitPort
    from bosd.limits.lpc.use_case import (
        Direction,
    )
    from bosd.rpc.eebus import Eebus


async def open_eebus(
    config: Config,
    node: Node,
    store: Store,
    audit: AuditLog,
    doubt: Callable[[], str],
    port_of: "Callable[[str, Direction], LimitPort] | None" = None,
) -> "Eebus | None":
    """Return the section at work, its first limit in force; None without one. Raises StoreError.

    `port_of` returns what limits a battery in a direction; without it limits are shown, and that they bind nothing. `doubt`
    returns why the wall clock is not to be trusted.
    """
    if config.eebus is None and not config.eebus_fault:
        return None
    from bosd.limits.lpc.use_case import LPC  # noqa: PLC0415 (most nodes have no grid operator)
    from bosd.rpc.eebus import Eebus, EebusTime, audited_by  # noqa: PLC0415 (most nodes have no grid operator)

    battery = "" if config.eebus is None else config.eebus.keys.battery
    part = await Eebus.open(
        (config.eebus, config.eebus_fault),
        node.clock,
        store,
        None if port_of is None else port_of(battery, LPC.direction),
        doubt=doubt,
        note=audited_by(audit, battery),
    )
    if part is not None:
        if part.lpc is not None:
            node.time.add(EebusTime(part.lpc))
        node.notices.sources.append(part.noticed)
    return part
