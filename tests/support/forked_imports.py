"""What every process of tests/support/forked.py has imported before it is forked."""

import contextlib
import gc
import importlib
import io
import pkgutil

import grpc.aio  # noqa: F401
import rich.console
import rich.table  # noqa: F401

import bosd.daemon
import bosd.demo
import bosd.drivers.far_end
import bosd.drivers.jbd.simulator
import bosd.limits
import bosd.node
import bosd.rpc
import bosd.store
import bosd.v1
import clients.bosctl

for _package in (bosd.v1, bosd.node, bosd.rpc, bosd.store, bosd.limits, bosd.drivers.far_end, bosd.drivers.jbd, clients.bosctl):
    for _found in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        if not _found.name.endswith("__main__"):
            importlib.import_module(_found.name)

with contextlib.redirect_stderr(io.StringIO()):  # what typer imports when it parses is most of a command's time; this one ends there
    importlib.import_module("clients.bosctl.__main__").run(["--json", "status", "--nonsense"])

gc.collect()
gc.freeze()  # or the first collection of each copies all of it
