"""Real programs for tests: nodes, simulated packs and `bosctl`, each a process of its own that is gone when its block ends."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import grpc
import psutil

from bosd.v1 import battery_pb2 as pb
from bosd.v1 import topology_pb2 as tpb
from bosd.v1.battery_pb2_grpc import BatteryServiceStub
from bosd.v1.topology_pb2_grpc import TopologyServiceStub
from tests.support.forked import Forked, run_process

T = TypeVar("T")

REPOSITORY = Path(__file__).parents[2]
BOSD = (sys.executable, "-m", "bosd")
BOSCTL = (sys.executable, "-m", "clients.bosctl")
START_S = 30.0
"""For a process to come up on a busy machine; a hanging one is found out, a slow one is not."""
CALL_S = 15.0
LOOK_S = 0.02
TAIL_LINES = 30

RUNNING: list["Program"] = []


def free_port() -> int:
    """Return a TCP port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(what: Callable[[], T], *, timeout_s: float = CALL_S, because: str = "") -> T:
    """Return the first true answer of `what`; fail with the logs of everything that runs when there is none in time."""
    ends_s = time.monotonic() + timeout_s
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() >= ends_s:
            raise AssertionError(f"not within {timeout_s:g} s: {because or what}; last: {found!r}\n{logs()}")
        time.sleep(LOOK_S)


def logs() -> str:
    """Return the ends of the logs of everything that runs."""
    return "\n".join(f"--- {program.name}{program.ended}\n{program.tail()}" for program in RUNNING)


class Program:
    """One process; its output goes to a file. Leaving the `with` block ends it whatever happened.

    `bosd` is forked (tests/support/forked.py) unless `forked` is taken away, or another path or program is asked for.
    """

    forked = True
    prelude = ""
    """Code that `bosd` executes before it begins (tests/support/forked.py)."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        self._arguments = arguments
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | Forked | None = None
        self._log_start = 0

    def launch(self) -> None:
        """Start the process and do not wait for it."""
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        environment = {**os.environ, **self._environment}
        program, arguments = tuple(self._arguments[: len(BOSD)]), self._arguments[len(BOSD) :]
        with self.log.open("ab") as log:
            if self.forked and program == BOSD and "PYTHONPATH" not in self._environment:
                to = str(self.log)
                self._process = Forked(
                    "bosd", arguments, directory=REPOSITORY, environment=environment, out=to, err=to, prelude=self.prelude
                )
            else:
                if self.prelude:
                    code = f"{self.prelude}\nimport sys\nfrom bosd.__main__ import main\nsys.exit(main())"
                    program = (sys.executable, "-c", code)
                self._process = subprocess.Popen(
                    [*program, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=REPOSITORY, env=environment
                )
        RUNNING.append(self)

    @property
    def process(self) -> subprocess.Popen[bytes] | Forked:
        """The process; it has been launched."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> str:
        """How it ended, for people; empty while it runs."""
        return "" if self.running else f" (ended with exit status {self.process.poll()})"

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = START_S) -> int:
        """Wait for its end; return its exit status."""
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {timeout_s:g} s\n{logs()}") from None
        if self in RUNNING:
            RUNNING.remove(self)
        return status

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self.running:
            self.process.kill()
        if self._process is not None:
            self.wait()

    def output(self) -> str:
        """Return what it wrote since it was launched last."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def tail(self) -> str:
        """Return the end of what it wrote."""
        return "\n".join(self.output().splitlines()[-TAIL_LINES:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.kill()


def tell(control: Path, op: str, **arguments: object) -> dict[str, Any]:
    """Send one request to a simulator's control socket; return the answer, which is a good one."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(CALL_S)
        connection.connect(str(control))
        connection.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
        with connection.makefile("rb") as answers:
            answer: dict[str, Any] = json.loads(answers.readline())
    assert answer["ok"] is True, answer
    return answer


class OnALine(Program):
    """A simulated device on the pseudo-terminal that `port` leads to; killed, its line goes with it, as a pulled cable's does."""

    port: Path

    def kill(self) -> None:
        """End it with SIGKILL; nothing is left that could lead to the next one to whom the system gives the same terminal."""
        if self.running:
            self.port.unlink(missing_ok=True)
        super().kill()


class Pack(OnALine):
    """A simulated JBD pack on a pseudo-terminal at `port`, steered through its control socket at `control`.

    The line is fast unless `baud` says otherwise: these tests wait for many replies.
    """

    def __init__(self, directory: Path, name: str, **options: object) -> None:
        self.port = directory / f"{name}.tty"
        self.control = directory / f"{name}.ctl"
        options = {"baud": 115200, "turnaround_ms": (0, 1), "sleep_after_s": 0, **options}
        arguments = [*BOSD, "sim", "jbd", "--link", str(self.port), "--control", str(self.control)]
        for key, value in options.items():
            values = value if isinstance(value, tuple) else (value,)
            arguments += [f"--{key.replace('_', '-')}", *map(str, values)]
        super().__init__(name, arguments, directory / f"{name}.log")

    def start(self) -> Self:
        """Launch it and wait until its line can be opened."""
        self.launch()
        until(lambda: "ready" in self.output(), timeout_s=START_S, because=f"{self.name} is ready")
        return self

    def __enter__(self) -> Self:
        return self.start()

    def tell(self, op: str, **arguments: object) -> dict[str, Any]:
        """Send one request to the control socket; return the answer, which is a good one."""
        return tell(self.control, op, **arguments)

    def raw(self, register: int, response: bytes | None) -> None:
        """Have a register answered with exactly these bytes; None gives it back to the board."""
        self.tell("raw", register=register, response_hex=None if response is None else response.hex())

    @property
    def load_a(self) -> float:
        """The load that is asked of the pack, positive on discharge."""
        return float(self.tell("get")["state"]["load_current_a"])

    def toml(self, name: str, **keys: object) -> str:
        """Return the table of a battery on this pack."""
        return battery(name, "jbd", port=str(self.port), **keys)

    def regulated(self, name: str, **keys: object) -> str:
        """Return the table of a battery on this pack that follows set points: 60 A out, 30 A in unless told otherwise."""
        keys = {"max_discharge_current_a": 60.0, "max_charge_current_a": 30.0, **keys}
        regulator = {"kind": "simulated", "port": str(self.control)}
        return self.toml(name, current_control="external", regulator=regulator, **keys)


class Supply(OnALine):
    """A simulated bench supply at `port`, wired to `pack`; answers faster than a real one, unless told otherwise."""

    def __init__(self, directory: Path, name: str, pack: Pack, **options: object) -> None:
        self.port = directory / f"{name}.tty"
        self.control = directory / f"{name}.ctl"
        options = {"turnaround_ms": (2, 5), **options}
        arguments = [*BOSD, "sim", "rd6006", "--link", str(self.port), "--control", str(self.control)]
        arguments += ["--pack-control", str(pack.control)]
        for key, value in options.items():
            values = value if isinstance(value, tuple) else (value,)
            arguments += [f"--{key.replace('_', '-')}", *map(str, values)]
        super().__init__(name, arguments, directory / f"{name}.log")

    def __enter__(self) -> Self:
        self.launch()
        until(lambda: "ready" in self.output(), timeout_s=START_S, because=f"{self.name} is ready")
        return self

    def tell(self, op: str, **arguments: object) -> dict[str, Any]:
        """Send one request to the control socket; return the answer, which is a good one."""
        return tell(self.control, op, **arguments)

    @property
    def state(self) -> dict[str, Any]:
        """Its state; currents are positive out of it."""
        found: dict[str, Any] = self.tell("get")["state"]
        return found


def toml_value(value: object) -> str:
    """Return a value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value)


def table(head: str, keys: dict[str, object]) -> str:
    """Return a table as TOML."""
    return f"{head}\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in keys.items()) + "\n"


def battery(name: str, kind: str, **keys: object) -> str:
    """Return a battery's table."""
    return table("[[battery]]", {"name": name, "kind": kind, **keys})


def pseudo(name: str, **keys: object) -> str:
    """Return a pseudo battery's table: 13 V, half of 100 Ah, 50 A both ways unless told otherwise."""
    usual = {"voltage_v": 13.0, "charge_ah": 50.0, "capacity_ah": 100.0}
    return battery(name, "pseudo", **{**usual, "max_discharge_current_a": 50.0, "max_charge_current_a": 50.0, **keys})


def aggregator(name: str, *sources: str, **keys: object) -> str:
    """Return an aggregator's table: 13 V, 3 V around it."""
    return battery(name, "aggregator", sources=sources, **{"voltage_v": 13.0, "voltage_tolerance_v": 3.0, **keys})


class Node(Program):
    """`bosd run` with a configuration of its own, on a port that stays the same over restarts."""

    def __init__(
        self,
        directory: Path,
        topology: str,
        *,
        name: str = "home",
        prelude: str = "",
        environment: dict[str, str] | None = None,
        **settings: object,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.target = f"127.0.0.1:{free_port()}"
        self.config = directory / f"{name}.toml"
        self.state_dir = directory / f"{name}.state"
        settings = {"name": name, "listen": [self.target], "state_dir": str(self.state_dir), **settings}
        self.config.write_text(table("[node]", settings) + topology)
        self.prelude = prelude
        arguments = [*BOSD, "run", "--config", str(self.config), "--log-format", "json"]
        super().__init__(name, arguments, directory / f"{name}.log", environment)

    def start(self) -> Self:
        """Launch it and wait until it serves."""
        self.launch()
        until(lambda: self.events("serving") or not self.running, timeout_s=START_S, because=f"{self.name} serves")
        assert self.running, self.tail()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def terminate(self, timeout_s: float = START_S) -> int:
        """Ask it to end; return its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    @property
    def guard(self) -> psutil.Process:
        """The guard that stands beside it, once one was posted."""
        return psutil.Process(until(lambda: self.events("guard_posted"), because="a guard is posted")[-1]["pid"])

    def guards(self) -> list[psutil.Process]:
        """Return all guards that stand beside it or are at work after it."""
        pids = {int(found) for found in re.findall(rb'"pid": (\d+)', self.log.read_bytes())} if self.log.exists() else set()
        if self.running:
            pids |= {child.pid for child in psutil.Process(self.pid).children()}
        found = []
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if "guard" in (words := process.cmdline()) and str(self.state_dir) in words:
                    found.append(process)
        return found

    def power_cut(self) -> None:
        """End it as a board does that loses its power: the daemon and its guard at the same moment."""
        guards = self.guards()
        for guard in guards:
            guard.suspend()  # it sees nothing of what comes
        self.kill()
        for guard in guards:
            with contextlib.suppress(psutil.NoSuchProcess):
                guard.kill()

    def __exit__(self, *_exc: object) -> None:
        self.power_cut()  # a guard that outlives the block would find other tests' packs at numbers of terminals it knows

    def events(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the events it logged since it was launched last, by name and fields."""
        found = []
        for line in self.output().splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("event") == event and fields.items() <= entry.items():
                    found.append(entry)
        return found

    def resident_mib(self) -> float:
        """Return its resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def bosctl(self, *arguments: str) -> "Answer":
        """Run `bosctl --json` against it."""
        return bosctl(self.target, *arguments)

    def ask(self, *arguments: str) -> Any:
        """Run `bosctl --json` against it and return the document; it has to be done."""
        answer = self.bosctl(*arguments)
        assert answer.status == 0, f"{arguments}: {answer}\n{logs()}"
        return answer.document

    def refusal(self, *arguments: str) -> dict[str, Any]:
        """Run `bosctl --json` against it and return the error; it has to be refused."""
        answer = self.bosctl(*arguments)
        assert answer.status == 1, f"{arguments}: {answer}\n{logs()}"
        error: dict[str, Any] = answer.error["error"]
        return error

    def statuses(self, *names: str) -> dict[str, dict[str, Any]]:
        """Return statuses by name, through `bosctl --json status`."""
        return {status["name"]: status for status in self.ask("status", *names)}

    def status(self, name: str) -> dict[str, Any]:
        """Return one status, through `bosctl --json status`."""
        return self.statuses(name)[name]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run of `bosctl --json` gave: exit status, document on stdout, error on stderr."""

    status: int
    document: Any
    error: Any


def bosctl(target: str, *arguments: str) -> Answer:
    """Run `bosctl --json`, whose output is one document and whose error is one too."""
    done = run_process("bosctl", ("--target", target, "--json", *arguments), REPOSITORY, 90.0)
    document = json.loads(done.stdout) if done.stdout.strip() else None
    try:
        error = json.loads(done.stderr) if done.stderr.strip() else None
    except ValueError:
        error = done.stderr
    return Answer(done.returncode, document, error)


class Caller:
    """One gRPC connection to a node, by a client that names itself `who`."""

    def __init__(self, target: str, who: str = "tester") -> None:
        self.channel = grpc.insecure_channel(target, options=(("grpc.use_local_subchannel_pool", 1),))
        self.batteries: Any = BatteryServiceStub(self.channel)
        self.topology: Any = TopologyServiceStub(self.channel)
        self.metadata = (("bosd-client", who),)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.channel.close()

    def _call(self, method: Any, request: object) -> Any:
        return method(request, timeout=CALL_S, metadata=self.metadata, wait_for_ready=True)

    def status(self, name: str) -> pb.BatteryStatus:
        """Return a status."""
        found: pb.BatteryStatus = self._call(self.batteries.GetStatus, pb.GetStatusRequest(name=name))
        return found

    def refresh(self, name: str) -> pb.BatteryStatus:
        """Have a sample taken and return the status. Raises grpc.RpcError."""
        found: pb.BatteryStatus = self._call(self.batteries.Refresh, pb.RefreshRequest(name=name))
        return found

    def set(self, name: str, current_a: float, ttl_s: float | None = None) -> pb.SetCurrentResponse:
        """Ask for a current. Raises grpc.RpcError."""
        request = pb.SetCurrentRequest(name=name, current_a=current_a, ttl_s=ttl_s)
        answer: pb.SetCurrentResponse = self._call(self.batteries.SetCurrent, request)
        return answer

    def force(self, name: str, current_a: float, ttl_s: float | None = None) -> pb.SetCurrentResponse:
        """Ask for a current over another holder's claim. Raises grpc.RpcError."""
        request = pb.SetCurrentRequest(name=name, current_a=current_a, ttl_s=ttl_s, force=True)
        answer: pb.SetCurrentResponse = self._call(self.batteries.SetCurrent, request)
        return answer

    def modify(self, name: str, **values: float) -> pb.BatteryStatus:
        """Change what a pseudo battery reports."""
        found: pb.BatteryStatus = self._call(self.batteries.ModifyPseudo, pb.ModifyPseudoRequest(name=name, **values))
        return found

    def add(self, toml: str) -> tpb.ApplyTopologyResponse:
        """Add batteries in one edit. Raises grpc.RpcError."""
        request = tpb.ApplyTopologyRequest(edits=[tpb.TopologyEdit(add=toml)])
        answer: tpb.ApplyTopologyResponse = self._call(self.topology.Apply, request)
        return answer


@dataclass(frozen=True, slots=True)
class Seen:
    """One status as a watcher got it, and when by this process's monotonic clock."""

    at_s: float
    status: pb.BatteryStatus

    @property
    def quality(self) -> str:
        """GOOD, STALE or UNAVAILABLE."""
        return pb.Quality.Name(self.status.quality).removeprefix("QUALITY_")


@dataclass(slots=True)
class Recording:
    """All statuses a watcher got, oldest first."""

    seen: list[Seen] = field(default_factory=list)

    def of(self, name: str, after: int = 0) -> list[Seen]:
        """Return those of one battery, from number `after` of the recording on."""
        return [each for each in self.seen[after:] if each.status.name == name]

    def first(self, name: str, quality: str, after: int = 0, timeout_s: float = CALL_S) -> Seen:
        """Wait for the first status of a quality and return it."""

        def look() -> Seen | None:
            return next((each for each in self.of(name, after) if each.quality == quality), None)

        found = until(look, timeout_s=timeout_s, because=f"{name} is {quality}")
        assert found is not None
        return found


@contextmanager
def recording(target: str, *names: str, max_staleness_s: float = 0.0) -> Iterator[Recording]:
    """Watch batteries while the block runs, keeping everything."""
    record = Recording()
    with Caller(target) as caller:
        request = pb.WatchRequest(names=names, max_staleness_s=max_staleness_s)
        stream = caller.batteries.Watch(request, metadata=caller.metadata, wait_for_ready=True)

        def listen() -> None:
            with contextlib.suppress(grpc.RpcError):
                for message in stream:
                    now_s = time.monotonic()
                    record.seen.extend(Seen(now_s, status) for status in message.statuses)

        thread = threading.Thread(target=listen, name="recording")
        thread.start()
        try:
            until(lambda: record.seen, because="the watch tells anything")
            yield record
        finally:
            stream.cancel()
            thread.join(CALL_S)
