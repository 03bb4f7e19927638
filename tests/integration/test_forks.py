"""Programs that a daemon's loop starts beside gRPC: real forks while real channels connect, in a process of its own."""

import subprocess
import sys

STARTS = 100

WORLD = f"""
import asyncio
import contextlib
import bosd.daemon
import grpc
import uvloop

async def connecting():
    while True:  # to a port where nobody listens: the engine's threads come and go
        async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await channel.channel_ready()

async def main():
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    busy = asyncio.create_task(connecting())
    ended = [await (await asyncio.create_subprocess_exec("/bin/true")).wait() for _ in range({STARTS})]
    busy.cancel()
    print(len(ended), set(ended))

uvloop.run(main())
"""


def test_grpc_does_nothing_where_a_program_is_started() -> None:
    """Its handlers of a fork end a program, or the daemon, by a segmentation fault now and then, and say so each time."""
    done = subprocess.run(
        [sys.executable, "-c", WORLD], env={"GRPC_VERBOSITY": "info"}, capture_output=True, text=True, timeout=60.0, check=False
    )
    said = [line for line in done.stderr.splitlines() if "not suitable for production" not in line]
    assert (done.returncode, done.stdout, said) == (0, f"{STARTS} {{0}}\n", [])
