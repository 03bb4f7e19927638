"""Measures one group of rows in a process of its own and prints the rounds as JSON on the last line."""

import argparse
import asyncio
import importlib
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any


def main() -> None:
    """Pin this process and what it starts to one core where the group asks for it, then measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("group")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--free", action="store_true", help="leave placement to the kernel")
    args = parser.parse_args()
    if not args.free:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before grpc starts threads: they inherit it
    import uvloop  # noqa: PLC0415

    group = importlib.import_module(f"bench.{args.group}")
    measure: Callable[..., Awaitable[dict[str, Any]]] = group.measure
    wanted = {row.name for row in group.ROWS if args.only in row.name}

    async def run() -> dict[str, Any]:
        async with asyncio.timeout(600):
            return await measure(wanted, args.rounds, quick=args.quick)

    rounds = uvloop.run(run())
    sys.stdout.write("\n" + json.dumps({name: asdict(each) for name, each in rounds.items()}) + "\n")


if __name__ == "__main__":
    main()
