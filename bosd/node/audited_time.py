"""A clock whose movements are recorded: who ticked how far, who set it, and what was refused."""

from collections.abc import Awaitable, Mapping

from bosd.errors import BosError
from bosd.node.api import TimeApi, TimeView
from bosd.node.audit import AuditLog


class AuditedTime:
    """Stands in for a node's clock: records what moves it, delegates the rest."""

    def __init__(self, time: TimeApi, audit: AuditLog) -> None:
        self._time = time
        self._audit = audit

    def view(self) -> TimeView:
        """Return what the clock shows."""
        return self._time.view()

    async def tick(self, duration_s: float, *, holder: str = "") -> TimeView:
        """Move time on; see TimeApi."""
        return await self._recorded("tick", self._time.tick(duration_s), holder, {"duration_s": duration_s})

    async def adjust(
        self, *, follow: bool | None = None, utc_s: float | None = None, rate: float | None = None, holder: str = ""
    ) -> TimeView:
        """Choose or set the clock; see TimeApi."""
        asked = {"follow": follow, "utc_s": utc_s, "rate": rate}
        return await self._recorded("clock", self._time.adjust(follow=follow, utc_s=utc_s, rate=rate), holder, asked)

    async def _recorded(self, action: str, command: Awaitable[TimeView], who: str, asked: Mapping[str, object]) -> TimeView:
        before = self._time.view()
        try:
            after = await command
        except BosError as error:
            self._audit.refused(action, error, who=who, asked=asked)
            error.audited = True
            raise
        self._audit.note(action, who=who, asked=asked, before=_shown(before), after=_shown(after))
        return after


def _shown(view: TimeView) -> Mapping[str, object]:
    return {"utc_s": view.utc_s, "rate": view.rate}
