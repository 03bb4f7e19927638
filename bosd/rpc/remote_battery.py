"""The networked battery: a stub that is fed by another node's Watch and read without I/O."""

import math
from typing import ClassVar

from bosd.bal.battery import DeviceLeaf
from bosd.bal.facts import NONE_KNOWN, Facts
from bosd.bal.limits import reserved
from bosd.bal.may_run import SLACK, unseen_a
from bosd.bal.ramp import hold_down
from bosd.bal.spec import NetworkSpec
from bosd.bal.status import HEARD, UNHEARD, BatteryStatus, Link, Quality
from bosd.errors import ClaimedError, CycleError, DriverError, UnavailableError
from bosd.rpc.client import RemotePool
from bosd.rpc.convert import MAX_HOPS, MAX_PATH, amended
from bosd.rpc.held_there import HeldThere, is_in_use, left_a
from bosd.rpc.remote_calls import OWNERS_WORD, RemoteCalls, clamped_there
from bosd.rpc.stub_age import quality_of, staleness_s


class RemoteBattery(RemoteCalls):
    """A stub of battery `spec.remote_name` at the node on `spec.target`.

    The remote's values with the remote's sample times; quality is their age here and never better than the remote's own word.
    It may be set while the remote is heard. Its path is itself, then what the remote rests on: finding itself there is a cycle.
    """

    kind: ClassVar[str] = "network"

    __slots__ = (
        "_counted_until_s",
        "_gone",
        "_held",
        "_in_session",
        "_link_reason",
        "_may_run_a",
        "_safe_within_s",
    )

    def __init__(self, spec: NetworkSpec, pool: RemotePool) -> None:
        super().__init__(spec)
        self._own = f"{pool.node}/{spec.name}"
        self._link, self._link_reason = Link.CONNECTING, ""
        self._remote: BatteryStatus | None = None
        self._safe_within_s: float | None = None
        self._facts = NONE_KNOWN
        self._in_session = self._gone = False
        self._may_run_a: float | None = None
        self._held = HeldThere(f"node:{pool.node}", pool.timers.session.stale_s)
        self._counted_until_s = math.inf
        self._wire = pool.attach(spec.target, spec.remote_name, self, max_staleness_s=spec.max_staleness_s or 0.0)
        self.owner_run = self._wire.owner_run
        left_s = self._wire.left_running_s()
        self._left_running = left_s is not None
        left_s = pool.timers.session.safe_within_s(self.command_deadline_s) if left_s is None else left_s
        self.unread_until_s = self._wire.session_now_s() + left_s

    def waits_for(self, now_s: float) -> str:
        """Return what is waited for until it is known what it runs."""
        if self._holds_unread:
            return f"may run what an earlier run of this node asked for, {self.until_contact}: it holds"
        if self.unconfirmed_a is None:
            return super().waits_for(now_s)
        return f"counted at {self.unconfirmed_a:g} A {self._until()}"

    @property
    def _holds_unread(self) -> bool:
        """Whether it may run what an earlier run asked for, without a bound."""
        return self.unconfirmed_a is None and self._left_running and self.unread_until_s == math.inf

    def is_unread(self, now_s: float) -> bool:
        """Return whether its owner has not said yet what it runs; an earlier run of this node may have commanded it."""
        del now_s
        return self._wire.session_now_s() < self.unread_until_s

    def close(self) -> None:
        """Stop following the remote."""
        self._wire.close()

    def on_status(self, status: BatteryStatus, half_rtt_s: float) -> None:
        """Take what the remote says; in a cycle only a changed path is news, or two nodes would wake each other for ever."""
        del half_rtt_s
        behind, before, self._remote = self.lost_behind, self._remote, status
        if self._held.heard(status, self._wire.session_now_s(), self.counts_at_a, ready=self._link is Link.READY):
            self._wire.agree_anew()
        self._limited_there(status)
        if (behind and not self.lost_behind) or (self._held.claims and not self._held.shows(status)):
            hold_down(self, self.known_a, begin=False)  # it comes back from what is in force there, before anybody looks
        if before is not None and self._barred(before) and self._barred(status) and self._path(before) == self._path(status):
            return
        self.touch()

    def on_link(self, link: Link, reason: str) -> None:
        """Take the state of the link."""
        if (link, reason) != (self._link, self._link_reason):
            self._link, self._link_reason = link, reason
            was, self._in_session = self._in_session, link in HEARD
            if was and not self._in_session:
                self._count_the_unseen()
            self.touch()

    @property
    def held_elsewhere(self) -> str:
        """Who else has its claim at its owner, as far as that is known."""
        return self._held.taken_by or ("" if self._remote is None else self._held.holder(self._remote))

    @property
    def lost_behind(self) -> bool:
        """Whether its owner's node is heard and does not hear it: a node behind a relay, a device that does not answer."""
        remote = self._remote
        return self._link in HEARD and remote is not None and (remote.quality is Quality.UNAVAILABLE or remote.link in UNHEARD)

    @property
    def known_a(self) -> float:
        """The magnitude in force at its owner, as its last status says."""
        return math.inf if self._remote is None else abs(self._remote.applied_current_a or 0.0)

    @property
    def rests_unseen(self) -> bool:
        """Whether 0 A is told where it is asked of this very stub: it holds down what its owner has in force, now or later."""
        return self.user is None and self._may_be_told

    @property
    def untold(self) -> bool:
        """Whether a booking or a safe value of its owner's flows there, beside which this node asked for nothing."""
        return not self._held.claims and bool(self.known_a) and self._may_be_told

    @property
    def holds_down(self) -> bool:
        """Whether a booking or a safe value of its owner's was seen to flow there before this node's set point."""
        return self._held.claims and self._held.over_something and self._link in HEARD

    @property
    def _may_be_told(self) -> bool:
        heard = self._link in HEARD and not self.stopped
        return heard and self._remote is not None and self._commandable(self._remote)

    @property
    def let_go_s(self) -> float | None:
        """What its owner announced; None before it did, and in a cycle, where bounds would feed each other."""
        return None if self._remote is not None and self._barred(self._remote) else self._safe_within_s

    @property
    def counts_until_s(self) -> float:
        """When its bound has passed; infinite where it is heard, or none is known."""
        return self._counted_until_s

    def on_snapshot(self, claim_a: float | None, facts: Facts) -> bool:
        """Compare with what the owner has in force, and may run; what differs is not certain until it was told again."""
        same = self._compared(claim_a, facts)
        if not self._gone and self._link in (Link.CONNECTING, Link.LOST, Link.EXPECTED_DOWN):  # lost so, it would not be told
            self._in_session = False
            self._count_the_unseen()
        return same

    def _compared(self, claim_a: float | None, facts: Facts) -> bool:
        self._gone = claim_a is None and facts is NONE_KNOWN
        if self._gone:  # its owner has it no more, and nothing there renews what it ran: that counts to its bound
            if not self._left_running:
                self.unread_until_s = -math.inf
            return False
        self._in_session = True  # it is heard; when it is lost, be it before Ready, its time begins anew
        self._expect_agreement()
        self._safe_within_s, self._counted_until_s = facts.safe_within_s, math.inf
        self._facts = facts
        if not facts.unread:
            self.unread_until_s, self._left_running = -math.inf, False
        if claim_a is None and (self._held.taken_by or (facts.taken_by and self.counts_at_a != 0.0)):
            self._lose(self._held.taken_by or facts.taken_by, facts.unconfirmed_a or 0.0)
            return False
        self._held.claims = (claimed := self._held.claims) and claim_a is not None
        same = claim_a is not None and claim_a == self.applied_a and (claim_a != 0.0 or claimed) and facts.unconfirmed_a is None
        worst_a = max(claim_a or 0.0, facts.unconfirmed_a or 0.0, key=abs)
        if same:
            self.unconfirmed_a = None
        elif worst_a or self.counts_at_a or claimed:
            let_go = claim_a is None and self._before_a != 0.0  # perhaps while this node slept; what is being told may be new
            hold_down(self, 0.0 if facts.unread else abs(worst_a), begin=let_go)  # it comes back from what runs there
            self.lost_answer(worst_a)
            self.look_again()
        self.touch()
        return same

    @property
    def _before_a(self) -> float:
        """What it counts at without what it is being told now."""
        return self.applied_a if self.unconfirmed_a is None else self.unconfirmed_a

    def _lose(self, by: str, most_a: float = 0.0) -> None:
        """Run nothing of this node's any more but what is left of it; what else flows there is asked by somebody else."""
        most_a = self.counts_at_a if math.isnan(most_a) else most_a  # its owner says nonsense of it
        most_a = most_a if most_a * self.counts_at_a > 0.0 else 0.0
        self._held.take(by)
        self._may_run_a = None
        super().settled(0.0, 0.0)
        if most_a:  # it is being brought to its safe value: counts until it was given back for sure
            self.lost_answer(most_a)
        self.look_again()

    def ask_anew(self, *, by_itself: bool = False) -> None:
        """Be asked again: what was taken is forgotten, and where it is asked `by_itself` the owner says whether it is free."""
        if by_itself:
            self._held.ask()
        if self._held.forget() or by_itself:
            self.touch()

    def _count_the_unseen(self) -> None:
        """Count at the larger of commanded and measured until it is safe by itself (control.md, "When something dies")."""
        worst_a = unseen_a(self.counts_at_a, (self._remote.current_a if self._remote is not None else None) or 0.0)
        if worst_a == 0.0:
            return
        self.unconfirmed_a = worst_a
        if self._safe_within_s is not None:
            self._counted_until_s = self._wire.counts_until_s(self._safe_within_s)

    def succeed(self, old: DeviceLeaf) -> None:
        """Take the place of a stub of the same battery: it counts no longer than that would have."""
        super().succeed(old)
        if isinstance(old, RemoteBattery):
            if not old.is_unread(0.0):  # what it may run is known
                self.unread_until_s, self._left_running = -math.inf, False
            self._safe_within_s = old._safe_within_s  # noqa: SLF001 (of this class)
            told = old._facts  # noqa: SLF001
            self._facts = Facts(charge_efficiency=told.charge_efficiency, discharge_efficiency=told.discharge_efficiency)
            if self.unconfirmed_a is not None and self._safe_within_s is not None and not self._in_session:
                ways = self._wire, old._wire  # noqa: SLF001 (by which its owner answered last)
                self._counted_until_s = max(way.counts_until_s(self._safe_within_s) for way in ways)

    def assume_safe(self) -> bool:
        """Count it no more although it is not heard; return whether it was counted."""
        counted = self.unconfirmed_a is not None or (self._left_running and self.is_unread(0.0))
        if counted := counted and not self._in_session:
            self._counted_until_s = math.inf
            self.unread_until_s = -math.inf
            self.unconfirmed_a = None
            self.applied_a = 0.0
            self._wire.forget_running()
            self.touch()
            self.look_again()
        return counted

    def status(self, now_s: float) -> BatteryStatus:
        """Return the status at `now_s`; when its bound has passed, what is not seen counts no more."""
        if now_s >= self._counted_until_s and self._safe_within_s is not None:
            if not self._gone:  # beats that are answered renew its lease
                self._counted_until_s = self._wire.counts_until_s(self._safe_within_s)
            if now_s >= self._counted_until_s:
                self.assume_safe()
        if self._held.taken_by and self._held.is_free(self._remote, now_s, ready=self._link is Link.READY):
            self.ask_anew()
            self.look_again()
        return super().status(now_s)

    async def note(self, current_a: float) -> bool:
        """Note that it may run something from now on, unless `command` would refuse."""
        before_a, remote = self._before_a, self._remote
        if current_a == 0.0 or self._link not in HEARD or (remote is not None and self._barred(remote)):
            return False
        lowers = current_a * before_a > 0.0 and abs(current_a) <= abs(before_a)
        return await self._wire.note_running(self._safe_within_s, waits=not lowers)

    async def command(self, current_a: float, ttl_s: float | None) -> None:
        """Ask the remote for `current_a`, for `ttl_s` of what remains.

        0 A without an end, or of what cannot be commanded now, gives this node's set point back.
        Raises what the remote refuses with, or UnavailableError when no answer came: then it may follow or not.
        """
        if current_a != 0.0 and self._remote is not None and (barred := self._barred(self._remote)):
            raise CycleError(f"{self.name}: {barred}", battery=self.name)
        if self._link not in HEARD:
            raise UnavailableError(f"{self.name}: {self._link_reason}", battery=self.name)
        before_a = self._before_a
        if current_a == 0.0 and (ttl_s is None or self._remote is None or not self._commandable(self._remote)):
            answer = await self._give_back(before_a)
            self._held.answered(claims=False)
        else:
            untold = self.untold
            try:
                answer = await self._set(current_a, ttl_s)
                self._held.answered(claims=True, over_something=untold)
            except ClaimedError as error:
                if error.metadata.get("battery") in (None, self.network.remote_name):  # and none of those below it there
                    self._lose(error.metadata.get("holder", "somebody else"), left_a(error, before_a))
                raise
        self.clamped_there = clamped_there(answer, current_a, self.network.target)
        if not math.isfinite(answer.may_run_a):
            raise DriverError(
                f"{self.name}: {self.network.target} sent nonsense: may_run_a = {answer.may_run_a}", battery=self.name
            )
        self._may_run_a = None if abs(answer.may_run_a) <= abs(current_a) * (1.0 + SLACK) + SLACK else answer.may_run_a
        if answer.unread and abs(before_a) > abs(answer.may_run_a):
            self._may_run_a = before_a  # its owner was started anew and cannot know: what was told before counts

    def settled(self, current_a: float, now_s: float) -> None:
        """Note that the remote follows `current_a`; where something below has not confirmed there, what may flow counts."""
        super().settled(current_a, now_s)
        if self._may_run_a is not None:
            self.unconfirmed_a = self._may_run_a
            self.failed_s = now_s  # asked again after a pause
            self.touch()
        elif current_a == 0.0:
            self._wire.forget_running()

    def _path(self, remote: BatteryStatus) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self._own, *remote.path)))[:MAX_PATH]

    def _commandable(self, remote: BatteryStatus) -> bool:
        barred = self._barred(remote) or is_in_use(remote) or self._held.bars(remote, self.counts_at_a)
        return remote.commandable and not barred

    def _until(self) -> str:
        if self._in_session:
            return "until its next answer: the last command is unconfirmed"
        if self._safe_within_s is None:
            return f"{self.until_contact}: it holds what it was told"
        return f"for {self._safe_within_s:.2f} s from its last answer, when it is safe by itself"

    def _reason(self, remote: BatteryStatus | None, quality: Quality) -> str:
        reasons = [self.stopped_text] if self.stopped else []
        if claimed := self._held.reason(remote, self.counts_at_a):
            reasons.append(claimed)
        if remote is not None and is_in_use(remote):
            reasons.append(f"IN_USE: {self.network.remote_name} is a source of something at its node; command that")
        if self.unconfirmed_a is not None or self._holds_unread:
            reasons.append(self.waits_for(0.0))
        if self._link_reason:
            reasons.append(self._link_reason)
        if remote is not None and remote.reason:
            reasons.append(remote.reason)
        if quality is not Quality.GOOD and not self._link_reason and not (remote is not None and remote.reason):
            reasons.append("no sample in time")
        if self.clamped_by:
            reasons.append(self.clamped_by)
        return "; ".join(reasons)

    def _compute(self, now_s: float) -> BatteryStatus:
        remote = self._remote
        if remote is None:
            return self._without_values("", (self._own,), 1)
        if barred := self._barred(remote):
            return self._without_values(barred, self._path(remote), 1 if self._own in remote.path else MAX_HOPS)
        quality, valid_until_s = quality_of(self.network, remote, now_s)
        valid_until_s = min(valid_until_s, self._counted_until_s, self._held.free_at_s)
        away = quality is Quality.UNAVAILABLE
        commandable = self._commandable(remote) and self._link in HEARD and not self.stopped and not away
        asked = self.setpoint_fields(controllable=remote.controllable)
        if self.user is None and self.setpoint is None and self.booked is None:
            asked = {
                "requested_current_a": remote.requested_current_a,
                "applied_current_a": remote.applied_current_a,
                "setpoint_source": remote.setpoint_source,
                "setpoint_ends_s": remote.setpoint_ends_s,
                "holder": self._held.holder(remote),
            }
        reserve = reserved(
            self.spec, remote.charge_ah, remote.capacity_ah, remote.usable_charge_ah, remote.balanced_usable_charge_ah
        )
        return amended(
            remote,
            name=self.name,
            kind=self.kind,
            current_a=None if away else remote.current_a,
            max_discharge_current_a=remote.max_discharge_current_a if commandable and reserve.discharges else 0.0,
            max_charge_current_a=remote.max_charge_current_a if commandable and reserve.charges else 0.0,
            usable_charge_ah=0.0 if (away or self.stopped) and reserve.usable_ah is not None else reserve.usable_ah,
            balanced_usable_charge_ah=reserve.balanced_ah,
            quality=quality,
            link=self._link,
            commandable=commandable,
            reason="; ".join(filter(None, (reserve.reason, self._reason(remote, quality)))),
            path=self._path(remote),
            hops=remote.hops + 1,
            expected_rate_a=0.0 if away else remote.current_a or 0.0,
            max_staleness_s=staleness_s(self.network, remote),
            valid_until_s=valid_until_s,
            **OWNERS_WORD,
            **asked,
        )

    def _without_values(self, barred: str, path: tuple[str, ...], hops: int) -> BatteryStatus:
        controllable = self._remote is None or self._remote.controllable
        return BatteryStatus(
            name=self.name,
            kind=self.kind,
            link=self._link,
            controllable=controllable,
            reason=barred or self._reason(None, Quality.UNAVAILABLE),
            path=path,
            hops=hops,
            max_staleness_s=staleness_s(self.network, None),
            valid_until_s=self._counted_until_s,
            **self.setpoint_fields(controllable=controllable),
        )
