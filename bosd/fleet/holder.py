"""The asker's side of a session: what this node knows of one owner, and how long it may believe to be acted for.

The asker assumes that its lease ended earlier than the owner does: it counts from the sending of the last answered beat, less a
margin (control.md, "The two ends of a set point").
"""

import math
from typing import NamedTuple

from bosd.clock import Clock
from bosd.fleet.timers import SessionTimers

_BEATS_IN_FLIGHT = 64


class Stamp(NamedTuple):
    """What a command carries: the owner's boot id, the session's epoch, a growing number, the newest stamp of the owner."""

    boot_id: str
    epoch: int
    sequence: int
    owner_s: float


class HolderSession:
    """One session as its asker sees it; `restarted` says that the owner is another run than before."""

    def __init__(self, clock: Clock, timers: SessionTimers) -> None:
        self._clock = clock
        self.timers = timers
        self.boot_id = ""
        self.epoch = 0
        self.ready = False
        self.restarted = False
        self.owner_s = -math.inf
        self.answered_s = -math.inf
        """When the newest answer came, on this node's clock."""
        self._renewed_from_s = -math.inf
        self._lease_s = timers.lease_s
        self._number = 0
        self._sequence = 0
        self._sent_s: dict[int, float] = {}

    def opened(self, boot_id: str, epoch: int, owner_s: float, lease_s: float = 0.0) -> None:
        """Take the owner's answer to Hello; a `lease_s` that it does not tell, or that is none, is the one configured here."""
        self._lease_s = lease_s if 0.0 < lease_s < math.inf else self.timers.lease_s
        self.restarted = bool(self.boot_id) and boot_id != self.boot_id
        if (boot_id, epoch) != (self.boot_id, self.epoch):
            self.owner_s = -math.inf
            self._sent_s.clear()
        self.boot_id, self.epoch, self.ready = boot_id, epoch, False
        self.heard(owner_s)

    def heard(self, owner_s: float) -> None:
        """Take a stamp of the owner from any answer."""
        self.owner_s = max(self.owner_s, owner_s)
        self.answered_s = self._clock.now_s()

    def granted(self, sent_s: float, owner_s: float) -> None:
        """Take the owner's agreement to Ready, which was sent at `sent_s`."""
        self.ready = True
        self._renewed_from_s = sent_s
        self.heard(owner_s)

    def over(self) -> None:
        """Be in no session until Ready was agreed again."""
        self.ready = False

    def next_beat(self) -> int:
        """Return the number of a beat that is sent now."""
        self._number += 1
        self._sent_s[self._number] = self._clock.now_s()
        while len(self._sent_s) > _BEATS_IN_FLIGHT:
            del self._sent_s[next(iter(self._sent_s))]
        return self._number

    def beat_answered(self, number: int, owner_s: float, *, renewed: bool) -> None:
        """Take the answer to a beat; one that is not known or did not renew extends nothing."""
        sent_s = self._sent_s.pop(number, None)
        self.heard(owner_s)
        if renewed and sent_s is not None:
            self._renewed_from_s = max(self._renewed_from_s, sent_s)

    @property
    def lease_ends_s(self) -> float:
        """Until when this node may believe to be acted for, on its own clock."""
        return self._renewed_from_s + self._lease_s - self.timers.margin_s if self.ready else -math.inf

    def stamp(self) -> Stamp:
        """Return what the next command carries."""
        self._sequence += 1
        return Stamp(self.boot_id, self.epoch, self._sequence, self.owner_s)
