"""Processes of a measurement: daemons, bare servers and devices; their processor time and memory."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from grpc import aio

from bosd.v1 import battery_pb2 as pb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub

REPOSITORY = Path(__file__).parents[1]
START_S = 60.0
STOP_S = 10.0
STATUS = "/bosd.bench.Bare/Status"
"""The bare server's unary echo of a BatteryStatus."""


def free_port() -> int:
    """Return a TCP port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def program(
    *arguments: str, log: Path, until: str = "", cores: set[int] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `python ARGUMENTS` until the end of the block; wait until its output in `log` holds `until`."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, cwd=REPOSITORY
        )
    try:
        if cores is not None:
            os.sched_setaffinity(process.pid, cores)
        async with asyncio.timeout(START_S):
            while not _said(log, until):
                if process.returncode is not None:
                    raise RuntimeError(f"{' '.join(arguments)} ended, see {log}")
                await asyncio.sleep(0.01)
        yield process
    finally:
        await _end(process)


def _said(log: Path, what: str) -> bool:
    return what.encode() in log.read_bytes()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()


def bare(
    mode: str, listen: str, *options: str, directory: Path, name: str = "bare"
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Run a bare grpcio aio server (`bench.bare`)."""
    return program("-m", "bench.bare", mode, listen, *options, log=directory / f"{name}.log", until="listening")


def write_config(directory: Path, topology: str, listen: Sequence[str], name: str = "home") -> Path:
    """Write the configuration of a daemon with its state in `directory`."""
    config = directory / f"{name}.toml"
    addresses = ", ".join(f'"{address}"' for address in listen)
    state = directory / f"{name}.state"
    config.write_text(f'[node]\nname = "{name}"\nlisten = [{addresses}]\nstate_dir = "{state}"\n\n{topology}')
    return config


def daemon(config: Path, *, cores: set[int] | None = None) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Run the real daemon."""
    log = config.with_suffix(".log")
    return program("-m", "bosd", "run", "--config", str(config), "--log-format", "json", log=log, until='"serving"', cores=cores)


def pseudo(name: str, number: int = 0) -> str:
    """Return the table of a pseudo battery."""
    return (
        f'[[battery]]\nname = "{name}"\nkind = "pseudo"\nvoltage_v = {48.0 + number % 8 * 0.1:.1f}\n'
        f"charge_ah = {40.0 + number % 20}\n"
        "capacity_ah = 100.0\nmax_discharge_current_a = 50.0\nmax_charge_current_a = 25.0\n\n"
    )


def network(name: str, target: str, remote_name: str) -> str:
    """Return the table of a stub."""
    return f'[[battery]]\nname = "{name}"\nkind = "network"\ntarget = "{target}"\nremote_name = "{remote_name}"\n\n'


def cpu_s(pid: int) -> float:
    """Return the processor time of a process, all threads that live, to the nanosecond (/proc/PID/task/*/schedstat)."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) * 1e-9


def resident_mib(pid: int) -> float:
    """Return what a process holds in memory (VmRSS) in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024.0
    raise RuntimeError(f"process {pid} has no VmRSS")


async def reachable(target: str, name: str) -> pb.BatteryStatus:
    """Return the first answer to GetStatus of `name`."""
    async with aio.insecure_channel(target) as channel:
        stub = BatteryServiceStub(channel)
        status: pb.BatteryStatus = await stub.GetStatus(pb.GetStatusRequest(name=name), wait_for_ready=True, timeout=START_S)
        return status
