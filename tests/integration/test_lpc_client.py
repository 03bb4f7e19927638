"""The client against the mock service, over real gRPC: order of calls, events, errors, hangs and losses."""

import asyncio
from typing import Any

import grpc

from bosd.limits.lpc.judging import WrittenLimit
from tests.support.eebus_mock import SKI, EebusMock, error, hang, limit
from tests.support.lpc_rig import connected, listed, make, running, until

A, B, C, E = ("abce"[index] * 40 for index in range(4))
SETTERS = [
    "SetConsumptionNominalMax",
    "SetConsumptionLimit",
    "SetFailsafeConsumptionActivePowerLimit",
    "SetFailsafeDurationMinimum",
]


async def test_start_up_makes_each_call_once_in_order_one_at_a_time() -> None:
    """eebus.md 3, rows 3 to 15, with the arguments that stand there and the identity of the issue (5, 13, 23)."""
    async with connected({"eebus_ems_ski_allowlist": f"{C.upper()}, {B},{C}"}) as (mock, _lpc, book):
        names = [name for name, _ in mock.calls]
        assert names[:9] == ["SetConfig", "StartSetup", *["RegisterRemoteSki"] * 3, "AddUseCase", *SETTERS[:3]]
        assert names[9] == SETTERS[3]
        assert sorted(names[10:12]) == ["SubscribeDiscoveryEvents", "SubscribeUseCaseEvents"]
        assert names[12:] == ["StartService", "StartHeartbeat"]
        assert mock.at_once == 1
        (request,) = mock.named("SetConfig")
        assert (request.port, request.heartbeat_timeout_seconds) == (4715, 60)
        assert (list(request.device_categories), request.device_type, list(request.entity_types)) == ([5], 13, [23])
        assert [each.remote_ski for each in mock.named("RegisterRemoteSki")] == [A, B, C]
        (added,) = mock.named("AddUseCase")
        assert (list(added.entity_address.entity_address), added.use_case.actor, added.use_case.name) == ([1], 6, 15)
        (shown,) = mock.named("SetConsumptionLimit")
        assert shown.load_limit == limit(32000.0, active=False)
        assert mock.named("SetConsumptionNominalMax")[0].value == 32000.0
        power = mock.named("SetFailsafeConsumptionActivePowerLimit")[0]
        assert (power.value, power.is_changeable) == (4200.0, True)
        duration = mock.named("SetFailsafeDurationMinimum")[0]
        assert (duration.duration_nanoseconds, duration.is_changeable) == (7_200_000_000_000, True)
        assert book.told == [("Init", 4200.0)]


async def test_a_write_is_approved_and_in_force_only_once_it_is_read() -> None:
    """eebus.md 5.1, test_set_load_limit: approval of counter 0 applies nothing; the read that follows does."""
    async with connected() as (mock, lpc, book):
        mock.ask(0, limit(4200.0))
        await mock.until(lambda: 0 in mock.decisions)
        assert mock.decisions[0] == (True, "")
        assert book.told == [("Init", 4200.0)]
        mock.show_limit(limit(3000.0, duration_s=7200.0))
        await until(lambda: lpc.view().limit_w == 3000.0, lpc)
        assert listed(lpc) == [("Init", 4200.0), ("Limited", 3000.0)]
        last = lpc.history.newest()[-1]
        assert last.until_utc_s is not None
        assert abs(last.until_utc_s - last.at_utc_s - 7200.0) < 1e-3
        assert len(mock.named("ConsumptionLimit")) == 1


async def test_a_negative_write_is_denied_with_its_rule() -> None:
    """eebus.md 5.1, test_rejects_negative_load_limit; newer stacks use another name of the event (1.8)."""
    async with connected() as (mock, lpc, _book):
        mock.ask(0, limit(-100.0))
        mock.ask(7, limit(float("nan")), event="LimitWriteApprovalRequired")
        await mock.until(lambda: len(mock.decisions) == 2)
        assert [approve for approve, _ in mock.decisions.values()] == [False, False]
        assert "LPC-001" in mock.decisions[0][1]
        assert lpc.counters["writes_denied"] == 2
        assert len(mock.named("ApproveOrDenyConsumptionLimit")) == 2


async def test_approval_never_waits_behind_a_slow_read() -> None:
    """eebus.md 2.6: the peer's stack rejects a write after 10 s; a read that hangs holds nothing up."""
    async with connected({"call_deadline_s": 30.0}) as (mock, _lpc, _book):
        mock.behaviours["ConsumptionLimit"] = hang
        mock.emit("DataUpdateLimit")
        await mock.until(lambda: bool(mock.named("ConsumptionLimit")))
        mock.ask(1, limit(4200.0))
        await mock.until(lambda: 1 in mock.decisions, within_s=5.0)


async def test_a_failed_read_keeps_the_old_limit_and_is_not_repeated() -> None:
    """eebus.md 2.7: one read an event, no retries."""
    async with connected() as (mock, lpc, book):
        mock.show_limit(limit(3000.0))
        await until(lambda: lpc.view().limit_w == 3000.0, lpc)
        mock.behaviours["ConsumptionLimit"] = error(grpc.StatusCode.UNKNOWN, "no data")
        mock.show_limit(limit(1000.0))
        await until(lambda: lpc.counters["failed_calls"] == 1, lpc)
        del mock.behaviours["ConsumptionLimit"]
        mock.heartbeat()
        await until(lambda: lpc.counters["heartbeats"] == 1, lpc)
        assert book.limit_w == 3000.0
        assert len(mock.named("ConsumptionLimit")) == 2


async def test_failsafe_values_are_read_and_refused_ones_change_nothing() -> None:
    """eebus.md 5.1: 5000 W is taken, -1000 W, 5 s and infinity are not; 3 h is."""
    async with connected() as (mock, lpc, _book):
        mock.write_failsafe(power_w=5000.0)
        await until(lambda: lpc.view().failsafe_limit_w == 5000.0, lpc)
        mock.write_failsafe(power_w=-1000.0)
        await until(lambda: lpc.counters["failsafe_writes_refused"] == 1, lpc)
        mock.write_failsafe(power_w=float("inf"))
        await until(lambda: lpc.counters["failsafe_writes_refused"] == 2, lpc)
        mock.write_failsafe(duration_s=5.0)
        await until(lambda: lpc.counters["failsafe_writes_refused"] == 3, lpc)
        mock.write_failsafe(duration_s=3 * 3600.0)
        await until(lambda: lpc.view().failsafe_duration_s == 10800.0, lpc)
        assert lpc.view().failsafe_limit_w == 5000.0
        assert listed(lpc) == [("Init", 4200.0)]


async def test_support_update_pushes_the_values_in_force() -> None:
    """eebus.md 5.1, test_use_case_support_update_reinitializes; 2.8 item 2: neither defaults nor "inactive" here."""
    async with connected() as (mock, lpc, _book):
        mock.write_failsafe(power_w=5000.0, duration_s=10800.0)
        await until(lambda: lpc.counters["failsafe_writes"] == 2, lpc)
        mock.show_limit(limit(3000.0, duration_s=600.0))
        await until(lambda: lpc.view().limit_w == 3000.0, lpc)
        before = len(mock.calls)
        mock.emit("UseCaseSupportUpdate", B)
        mock.emit("UseCaseSupportUpdate")
        await mock.until(lambda: len(mock.named("StartHeartbeat")) == 2)
        assert [name for name, _ in mock.calls[before:]] == [*SETTERS, "StartHeartbeat"]
        shown = mock.named("SetConsumptionLimit")[-1].load_limit
        assert (shown.is_active, shown.value) == (True, 3000.0)
        assert 590.0 < shown.duration_nanoseconds / 1e9 <= 600.0
        assert mock.named("SetFailsafeConsumptionActivePowerLimit")[-1].value == 5000.0
        assert mock.named("SetFailsafeDurationMinimum")[-1].duration_nanoseconds == 10_800_000_000_000


async def test_only_the_bound_peer_is_heard_and_the_drop_is_seen() -> None:
    """eebus.md 5.1, test_active_ems_connection: no read for b, one for a."""
    async with connected() as (mock, lpc, _book):
        mock.heartbeat(A)
        await until(lambda: lpc.view().bound_ski == A, lpc)
        mock.emit("DataUpdateLimit", B)
        mock.show_limit(limit(4000.0), A)
        await until(lambda: lpc.view().limit_w == 4000.0, lpc)
        assert len(mock.named("ConsumptionLimit")) == 1
        assert lpc.counters["events_dropped"] == 1


async def test_unknown_and_empty_events_do_nothing_but_count() -> None:
    """eebus.md 1.8."""
    async with connected() as (mock, lpc, _book):
        mock.emit("")
        mock.emit("SomethingNew")
        mock.heartbeat()
        await until(lambda: lpc.counters["heartbeats"] == 1, lpc)
        assert lpc.counters["unknown_events"] == 1


async def test_discovery_lets_in_who_is_named_or_anybody_where_allowed() -> None:
    """eebus.md 5.1: the four rows on discovery."""
    async with connected({"eebus_ems_ski_allowlist": B}) as (mock, _lpc, _book):
        mock.discover(A, trusted=True)
        mock.discover(E)
        mock.discover(B, kind=2)
        mock.discover(B.upper())
        await mock.until(lambda: len(mock.named("RegisterRemoteSki")) == 3)
        assert [each.remote_ski for each in mock.named("RegisterRemoteSki")] == [A, B, B]
    async with connected({"eebus_ems_ski": "", "accept_unknown_ems": True}) as (mock, _lpc, _book):
        assert mock.named("RegisterRemoteSki") == []
        mock.discover(E)
        await mock.until(lambda: [each.remote_ski for each in mock.named("RegisterRemoteSki")] == [E])


async def test_a_service_without_discovery_is_used_without_it() -> None:
    """eebus.md 3: an old service answers UNIMPLEMENTED; EVerest reconnects for ever then."""
    async with connected(mock=EebusMock(discovers=False)) as (mock, lpc, _book):
        mock.show_limit(limit(3000.0))
        await until(lambda: lpc.view().limit_w == 3000.0, lpc)
        assert lpc.connected
        assert len(mock.named("SetConfig")) == 1


async def test_a_killed_service_is_joined_again_and_publishes_nothing_looser() -> None:
    """Loss and return by themselves change nothing; on return the service is told what is in force."""
    async with connected() as (mock, lpc, book):
        mock.show_limit(limit(3000.0))
        await until(lambda: lpc.view().limit_w == 3000.0, lpc)
        await mock.kill()
        await until(lambda: not lpc.connected, lpc)
        assert book.limit_w == 3000.0
        await mock.start()
        await until(lambda: lpc.connected, lpc)
        assert lpc.counters["losses"] == 1
        assert listed(lpc) == [("Init", 4200.0), ("Limited", 3000.0)]
        assert mock.named("SetConsumptionLimit")[-1].load_limit == limit(3000.0)
        assert len(mock.named("SetConfig")) == 2


async def test_lost_streams_with_a_service_that_resets() -> None:
    """eebus.md 6.1 item 2: "not in setup state" is answered by ResetService where there is one."""
    async with connected(mock=EebusMock(resets=True)) as (mock, lpc, _book):
        mock.lose_streams()
        await until(lambda: lpc.counters["connections"] == 2, lpc)
        assert [name for name, _ in mock.calls if name in {"SetConfig", "ResetService"}] == [
            "SetConfig",
            "SetConfig",
            "ResetService",
            "SetConfig",
        ]
        mock.heartbeat()
        await until(lambda: lpc.counters["heartbeats"] == 1, lpc)


async def test_lost_streams_with_a_service_that_does_not_reset() -> None:
    """Without ResetService the remembered endpoint is used again, and StartService is not."""
    async with connected() as (mock, lpc, _book):
        mock.lose_streams()
        await until(lambda: lpc.counters["connections"] == 2, lpc)
        assert len(mock.named("AddUseCase")) == 1
        assert len(mock.named("StartService")) == 1
        mock.show_limit(limit(2000.0))
        await until(lambda: lpc.view().limit_w == 2000.0, lpc)


async def test_a_restarted_daemon_joins_a_service_that_lived_on() -> None:
    """The endpoint survives in the store."""
    mock = EebusMock()
    port = await mock.start()
    lpc, _, ram = make({"grpc_port": port})
    async with running(lpc):
        await until(lambda: lpc.connected, lpc)
    again, _, _ = make({"grpc_port": port, "reconnect_delay_s": 0.2}, ram=ram)
    async with running(again):
        await until(lambda: again.connected, again)
        mock.heartbeat()
        await until(lambda: again.counters["heartbeats"] == 1, again)
    await mock.kill()


async def test_a_service_started_half_is_started_whole() -> None:
    """StartService failed once: the next round finds the service configured, and starts it."""
    mock = EebusMock()
    mock.behaviours["StartService"] = error(grpc.StatusCode.UNKNOWN, "certificate not ready")
    lpc, _, _ = make({"grpc_port": await mock.start(), "reconnect_delay_s": 0.1})
    async with running(lpc):
        await mock.until(lambda: bool(mock.named("StartService")))
        del mock.behaviours["StartService"]
        await until(lambda: lpc.connected, lpc)
        assert mock.state == "Running"
    await mock.kill()


async def test_failures_of_the_start_that_are_borne() -> None:
    """eebus.md 3: StartSetup, RegisterRemoteSki, the setters and StartHeartbeat may fail; the rest goes on."""
    mock = EebusMock()
    refused = error(grpc.StatusCode.UNKNOWN, "no")
    mock.behaviours = dict.fromkeys(("RegisterRemoteSki", "StartHeartbeat", *SETTERS), refused)
    lpc, _, _ = make({"grpc_port": await mock.start(), "reconnect_delay_s": 0.1})
    async with running(lpc):
        await until(lambda: lpc.connected, lpc)
        assert [name for name, _ in mock.calls].count("SetConsumptionLimit") == 1
    await mock.kill()


async def test_an_empty_endpoint_and_a_failed_use_case_end_the_round_only() -> None:
    """eebus.md 3 rows 6 and 7, 6.1 items 3 and 4: the next round is tried all the same."""
    mock = EebusMock(resets=True)
    mock.behaviours["AddUseCase"] = error(grpc.StatusCode.UNKNOWN, "Not implemented")
    lpc, _, _ = make({"grpc_port": await mock.start(), "reconnect_delay_s": 0.1})
    async with running(lpc):
        await mock.until(lambda: len(mock.named("AddUseCase")) == 2)
        assert "Not implemented" in lpc.connection or not lpc.connected
        del mock.behaviours["AddUseCase"]
        await until(lambda: lpc.connected, lpc)
    await mock.kill()


async def test_a_hanging_service_neither_stops_the_machine_nor_is_waited_for() -> None:
    """eebus.md 6.1 items 1 and 5: with deadlines of 0.3 s and a heartbeat timeout of 1 s the failsafe comes in time."""
    keys = {"call_deadline_s": 0.3, "heartbeat_timeout_s": 1.0, "tick_s": 0.05}
    async with connected(keys) as (mock, lpc, book):
        mock.heartbeat()
        mock.show_limit(limit(0.0, active=False))
        await until(lambda: lpc.view().state == "UnlimitedControlled", lpc)
        mock.hang_all()
        mock.emit("DataUpdateLimit")
        await until(lambda: book.limit_w == 4200.0, lpc)
        assert lpc.view().state == "Failsafe"
        assert lpc.counters["failed_calls"] == 1


async def test_a_service_that_never_was_there_leaves_the_machine_alone() -> None:
    """The failsafe value is in force from the start, and the machine's own time goes on (LPC-901/1, LPC-906)."""
    lpc, book, _ = make({"grpc_port": 1, "init_timeout_s": 0.3, "tick_s": 0.05, "reconnect_delay_s": 0.1})
    async with running(lpc):
        assert book.limit_w == 4200.0
        await until(lambda: lpc.view().state == "UnlimitedAutonomous", lpc)
        await until(lambda: "nothing listens" in lpc.connection, lpc)
        assert listed(lpc) == [("Init", 4200.0), ("UnlimitedAutonomous", None)]


async def test_reconnection_is_not_slowed_by_any_back_off() -> None:
    """A service that comes after many failed attempts is found within one delay, as the first time."""
    lpc, _, _ = make({"grpc_port": 1, "reconnect_delay_s": 0.05})
    mock = EebusMock()
    port = await mock.start()
    await mock.kill()
    lpc, _, _ = make({"grpc_port": port, "reconnect_delay_s": 0.05})
    async with running(lpc):
        await asyncio.sleep(1.0)  # some fifteen attempts fail
        await mock.start()
        await until(lambda: lpc.connected, lpc, within_s=2.0)
    await mock.kill()


async def test_an_unlisted_peer_the_service_let_in_is_heard_and_seen() -> None:
    """eebus.md 2.5 and 6.1 item 15: trust is the service's, so its events count, but each is counted and the peer is named."""
    async with connected() as (mock, lpc, _book):
        mock.show_limit(limit(3000.0), "this-is-a-ski-42")
        await until(lambda: lpc.view().limit_w == 3000.0, lpc)
        assert lpc.view().bound_ski == "this-is-a-ski-42"
        assert lpc.counters["events_of_unlisted_peers"] >= 1


async def test_two_events_of_approval_answer_a_write_once() -> None:
    """The pending map is read twice, and answered once."""
    async with connected() as (mock, lpc, _book):
        gate = asyncio.Event()

        async def slow(_request: object, _context: object) -> None:
            await gate.wait()

        mock.behaviours["ApproveOrDenyConsumptionLimit"] = slow
        mock.ask(3, limit(4000.0))
        await mock.until(lambda: bool(mock.named("ApproveOrDenyConsumptionLimit")))
        mock.emit("WriteApprovalRequired")
        await mock.until(lambda: len(mock.named("PendingConsumptionLimit")) == 2)
        gate.set()
        await mock.until(lambda: 3 in mock.decisions)
        mock.heartbeat(SKI)
        await until(lambda: lpc.counters["heartbeats"] == 1, lpc)
        assert len(mock.named("ApproveOrDenyConsumptionLimit")) == 1
        assert lpc.decide(SKI, WrittenLimit(active=True, value_w=1e9)).warning


async def test_a_start_that_was_not_answered_in_time() -> None:
    """The service starts and does not say so: it is joined all the same, though it refuses to be started again (eebus.md 2.9)."""
    mock = EebusMock()

    async def start_and_hang(request: Any, context: Any) -> Any:
        mock.state = "Running"
        return await hang(request, context)

    mock.behaviours["StartService"] = start_and_hang
    port = await mock.start()
    lpc, _book, _ = make({"grpc_port": port, "reconnect_delay_s": 0.05, "call_deadline_s": 0.2})
    try:
        async with running(lpc):
            await mock.until(lambda: len(mock.named("StartService")) == 1)
            await until(lambda: "StartService" in lpc.connection, lpc)
            mock.behaviours.clear()
            await until(lambda: lpc.connected, lpc)
            mock.heartbeat()
            await until(lambda: lpc.counters["heartbeats"] == 1, lpc)
            assert lpc.endpoint == f"localhost:{mock.endpoint_port}"
    finally:
        await mock.kill()


async def test_a_use_case_that_was_not_added_at_once() -> None:
    """Set up, and AddUseCase failed: the service, which will not be configured again, takes it in the next round."""
    mock = EebusMock()
    mock.behaviours["AddUseCase"] = error(grpc.StatusCode.UNKNOWN, "busy")
    port = await mock.start()
    lpc, _book, _ = make({"grpc_port": port, "reconnect_delay_s": 0.05})
    try:
        async with running(lpc):
            await until(lambda: "busy" in lpc.connection, lpc)
            mock.behaviours.clear()
            await until(lambda: lpc.connected, lpc)
            assert mock.registered[-1] == SKI
            assert len(mock.named("StartSetup")) == 1
    finally:
        await mock.kill()


async def test_the_longest_durations_are_pushed_again() -> None:
    """int64 is all the wire has (eebus.md 1.1): what was taken from it fits in again, after a support update, too."""
    async with connected({"profile": "seed"}) as (mock, lpc, _book):
        longest = limit(3000.0)
        longest.duration_nanoseconds = 2**63 - 1
        mock.show_limit(longest)
        mock.failsafe_duration_ns = 2**63 - 1
        mock.emit("DataUpdateFailsafeDurationMinimum")
        await until(lambda: lpc.counters["failsafe_writes"] == 1 and lpc.view().state == "Limited", lpc)
        mock.emit("UseCaseSupportUpdate")
        await mock.until(lambda: len(mock.named("StartHeartbeat")) == 2)
        assert mock.named("SetFailsafeDurationMinimum")[-1].duration_nanoseconds == 2**63 - 1
        assert mock.named("SetConsumptionLimit")[-1].load_limit.duration_nanoseconds > 2**63 - 10**12
