"""A node of the shell's own: in this process, on a clock that can be set, in a directory that is gone afterwards."""

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, Self, TypeVar

import structlog

from bosd import log
from bosd.bal.spec import Topology
from bosd.clock import SteppedClock, SystemClock
from bosd.config.settings import Config, NodeConfig, StoreConfig
from bosd.daemon import Daemon
from bosd.errors import BosError
from bosd.sdnotify import Notifier
from clients.bosctl.errors import ExitStatus, Failure
from clients.bosctl.shell.holds import LONGEST_TTL_S

_log = structlog.get_logger("shell")

T = TypeVar("T")

START_S = 30.0
CALL_S = 10.0
END_S = 15.0
LOOPBACK = "127.0.0.1"


class _Ready(Notifier):
    """Tells the shell that the daemon serves."""

    def __init__(self) -> None:
        super().__init__(None)
        self.served = threading.Event()

    def ready(self, status: str = "") -> bool:
        """Note it."""
        del status
        self.served.set()
        return True


class LocalNode:
    """A daemon in a thread of this process; `target` is its address. It ends with the `with` block."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="bosctl-shell-"))
        self.target = f"unix:{self._directory / 'socket'}"
        node = NodeConfig(
            name=f"shell-{os.getpid()}",
            listen=(self.target,),
            state_dir=self._directory / "state",
            max_setpoint_ttl_s=LONGEST_TTL_S,
        )
        config = Config(node=node, store=StoreConfig(), topology=Topology(), place="shell")
        self._ready = _Ready()
        self._daemon = Daemon(config, SteppedClock(SystemClock(), switchable=True, following=True), self._ready)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)  # one that hangs does not keep the shell

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                runner.run(self._daemon.run())
        except BaseException as failure:  # noqa: BLE001 (told by the thread that waits for it)
            self._failure = failure
        finally:
            self._ready.served.set()

    def __enter__(self) -> Self:
        log.configure(level="error")
        self._thread.start()
        self._ready.served.wait(START_S)
        if self._failure is not None or not self._thread.is_alive():
            self._clear()
            raise Failure(ExitStatus.REFUSED, "UNAVAILABLE", f"the shell's own node does not start: {self._failure}")
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it ended in between
                self._loop.call_soon_threadsafe(self._daemon.end)
        self._thread.join(END_S)
        if self._thread.is_alive():
            _log.error("node_does_not_end", after_s=END_S)
        self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def start(self, port: int) -> str:
        """Listen on a port of loopback as well; return the address. Raises Failure."""
        return self._call(self._daemon.open(f"{LOOPBACK}:{port}"))

    def stop(self, port: int) -> str:
        """Listen there no more; return the address. Raises Failure."""
        return self._call(self._daemon.shut(f"{LOOPBACK}:{port}"))

    def _call(self, call: Coroutine[Any, Any, T]) -> T:
        if self._loop is None or not self._thread.is_alive():
            call.close()
            raise Failure(ExitStatus.UNREACHABLE, "UNAVAILABLE", "the shell's own node has ended")
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result(CALL_S)
        except BosError as error:
            raise Failure(ExitStatus.REFUSED, error.reason, error.message, error.metadata) from None
        except FutureTimeoutError:
            future.cancel()
            raise Failure(ExitStatus.REFUSED, "UNAVAILABLE", f"not done within {CALL_S:g} s") from None
