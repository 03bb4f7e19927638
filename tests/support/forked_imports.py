"""What every process of tests/support/forked.py has imported before it is forked."""

import contextlib
import gc
import importlib
import io
import pkgutil

import grpc._channel
import grpc.aio
import grpc.experimental  # noqa: F401
import rich.console
import rich.table  # noqa: F401
import uvloop  # noqa: F401

import bosd.daemon
import bosd.demo
import bosd.drivers.far_end
import bosd.drivers.jbd.simulator
import bosd.drivers.rd6006
import bosd.drivers.replay_program
import bosd.limits
import bosd.node
import bosd.rpc
import bosd.safeguard
import bosd.store
import bosd.v1
import clients.bosctl

for _package in (
    *(bosd.v1, bosd.node, bosd.rpc, bosd.store, bosd.limits, bosd.safeguard, clients.bosctl),
    *(bosd.drivers.far_end, bosd.drivers.jbd, bosd.drivers.rd6006),
):
    for _found in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        if not _found.name.endswith("__main__"):
            importlib.import_module(_found.name)

_arguments = ["--json", "status", "--nonsense"]  # refused once it is parsed: what typer imports for that takes longest
with contextlib.redirect_stderr(io.StringIO()):
    importlib.import_module("clients.bosctl.__main__").run(_arguments)

gc.collect()
gc.freeze()  # or the first collection of each copies all of it
