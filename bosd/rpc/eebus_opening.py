"""Whether a node has an `[eebus]` section at work: one without it loads nothing of it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from bosd.config import Config
from bosd.errors import BosError
from bosd.limits.book import LimitBook
from bosd.limits.sources import BatteryLimit
from bosd.node.audit import AuditLog
from bosd.node.clock_trust import ClockTrust
from bosd.node.node import Node
from bosd.store.store import Store

SOURCE = "eebus"
"""Whose limits these are in the book."""

_log = structlog.get_logger("eebus")

if TYPE_CHECKING:
    from bosd.limits.lpc.port import LimitPort
    from bosd.limits.lpc.use_case import (
        Direction,
    )
    from bosd.rpc.eebus import Eebus


async def eebus_in(
    book: LimitBook, config: Config, node: Node, store: Store, audit: AuditLog, trust: ClockTrust
) -> "Eebus | None":
    """Return the section at work in a limit book, None without one. Raises StoreError."""
    source = book.source(SOURCE)
    doubt = lambda: trust.doubt(node.clock.utc_s())  # noqa: E731
    part = await open_eebus(config, node, store, audit, doubt, lambda *of: BatteryLimit(source, *of))
    end_others(book, config, part)
    return part


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


def end_others(book: LimitBook, config: Config, part: "Eebus | None") -> None:
    """End what an earlier run put into the book and nobody stands for: another battery's, or no section at all.

    Under a faulty section all of it goes on, until that is mended.
    """
    if config.eebus_fault:
        return
    battery = "" if config.eebus is None else config.eebus.keys.battery
    restored = part is not None and part.view().restored is not None
    source = book.source(SOURCE)
    if part is not None and part.lpc is not None:
        book.at_work.add(SOURCE)
    for limit in [standing.limit for standing in book.standing() if standing.limit.source == SOURCE]:
        if limit.battery != battery or (limit.identity and not restored):
            _log.warning("eebus_limit_ended", battery=limit.battery, limit_w=limit.limit_w, identity=limit.identity)
            try:
                source.post(limit.battery, limit.direction, None, identity=limit.identity, comment="[eebus] asks for it no more")
            except BosError as error:  # a battery that is gone has nothing left to limit
                _log.warning("eebus_limit_stays", battery=limit.battery, detail=error.message)
