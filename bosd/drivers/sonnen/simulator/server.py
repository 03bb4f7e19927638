"""The simulated battery's HTTP server and its control socket."""

import ssl
from collections import Counter
from pathlib import Path
from typing import Self

from aiohttp import web

from bosd.clock import Clock
from bosd.drivers.far_end.control import ControlServer
from bosd.drivers.sonnen.answers import MODES
from bosd.drivers.sonnen.simulator import documents
from bosd.drivers.sonnen.simulator.faults import FaultPlan
from bosd.drivers.sonnen.simulator.model import Model, Options, check
from bosd.drivers.sonnen.simulator.striking import Handler, strike
from bosd.errors import InvalidArgumentError

_SETTABLE = {
    "soc": (0.0, 1.0),
    "consumption_w": (0.0, 1e5),
    "production_w": (0.0, 1e5),
    "set_point_w": (-1e5, 1e5),
}


class SonnenSimulator:
    """One battery at `host:port` (port 0 picks a free one) until the block ends; `token` None lets anybody in.

    What it tells is measured anew each simulated second, as the real one's time stamp suggests, and stands still while `frozen`.
    """

    def __init__(
        self,
        options: Options,
        clock: Clock,
        *,
        address: tuple[str, int] = ("127.0.0.1", 0),
        token: str | None = None,
        control: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.model = Model(options)
        self.faults = FaultPlan(options.seed)
        self.frozen = False
        self.writable = True
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._address = address
        self._token = token
        self._tls = tls
        self._began_s, self._began_utc_s = clock.now_s(), clock.utc_s()
        self._measured_s = -1
        self._measured: dict[str, documents.Document] = {}
        self._control = None if control is None else ControlServer(control, self._handle)
        self._runner = web.AppRunner(self._application(), access_log=None, handle_signals=False, shutdown_timeout=0.1)

    @property
    def url(self) -> str:
        """Where it serves."""
        host, port = self._runner.addresses[0][:2]
        return f"{'http' if self._tls is None else 'https'}://{host}:{port}"

    async def __aenter__(self) -> Self:
        """Listen. Raises InvalidArgumentError for an address or a control socket that cannot be had."""
        await self._runner.setup()
        host, port = self._address
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=self._tls).start()
        except OSError as error:
            await self._runner.cleanup()
            raise InvalidArgumentError(f"{host}:{port}: {error.strerror}", key="listen") from error
        if self._control is not None:
            await self._control.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close all connections and remove the control socket."""
        if self._control is not None:
            self._control.close()
        await self._runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._with_faults])
        add = application.router.add_route
        for name in ("status", "battery", "latestdata", "configurations"):
            add("GET", f"/api/v2/{name}", self._read)
        add("GET", "/api/v2/configurations/{name}", self._read_one)
        add("PUT", "/api/v2/configurations", self._configure)
        add("POST", "/api/v2/setpoint/{direction:charge|discharge}/{watt}", self._set_point)
        return application

    @web.middleware
    async def _with_faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        path = request.path.removeprefix("/api/v2")
        self.counters["requests"] += 1
        self.counters[f"{request.method} {path}"] += 1
        fault = self.faults.draw(self.counters["requests"], path)

        async def answer(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, handler)

        return await answer(request) if fault is None else await strike(fault, request, answer)

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._token is not None and not request.path.endswith("/status") and request.headers.get("Auth-Token") != self._token:
            return web.json_response({"error": "401 Unauthorized"}, status=401)
        if request.method != "GET" and not self.writable:
            return web.json_response({"error": "403 Forbidden"}, status=403)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return web.json_response({"error": f"{error.status} {error.reason}"}, status=error.status)

    def _now(self) -> float:
        """Return the simulated time since the start, in s, up to which the model is moved on."""
        now_s = (self._clock.now_s() - self._began_s) * self.model.options.rate
        self.model.step_to(now_s)
        return now_s

    def move_on(self) -> None:
        """Bring the model to the present."""
        self._now()

    def _documents(self) -> dict[str, documents.Document]:
        """Return what was measured last."""
        now_s = int(self._now())
        if now_s != self._measured_s and not (self.frozen and self._measured):
            utc_s = self._began_utc_s + now_s
            self._measured_s = now_s
            self._measured = {
                "status": documents.status(self.model, utc_s),
                "battery": documents.battery(self.model),
                "latestdata": documents.latest(self.model, utc_s),
            }
        return {**self._measured, "configurations": documents.configurations(self.model)}

    async def _read(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._documents()[request.path.rsplit("/", 1)[1]])

    async def _read_one(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        found = self._documents()["configurations"]
        if name not in found:
            raise web.HTTPNotFound
        return web.json_response({name: found[name]})

    async def _configure(self, request: web.Request) -> web.StreamResponse:
        """Take a mode, as a form or as JSON; the answer repeats it."""
        if request.content_type == "application/json":
            try:
                asked = await request.json()
            except ValueError:
                raise web.HTTPBadRequest from None
        else:
            asked = dict(await request.post())
        mode = str(asked.get("EM_OperatingMode", "")) if isinstance(asked, dict) else ""
        if mode not in MODES or len(asked) != 1:
            raise web.HTTPBadRequest
        self._now()
        self.model.mode = mode
        return web.json_response({"EM_OperatingMode": mode})

    async def _set_point(self, request: web.Request) -> web.StreamResponse:
        """Take a set point, a magnitude in whole watts; one direction replaces the other's."""
        watt = request.match_info["watt"]
        if not (watt.isascii() and watt.isdigit() and len(watt) <= 6):
            raise web.HTTPBadRequest
        self._now()
        self.model.set_point_w = float(watt) if request.match_info["direction"] == "discharge" else -float(watt)
        return web.json_response(data=True, status=201)

    def _handle(self, request: dict[str, object]) -> dict[str, object]:
        """Do what a line of the control socket asks. Raises InvalidArgumentError."""
        match request.get("op"):
            case "get":
                return {"state": self._state()}
            case "set":
                self._set({key: value for key, value in request.items() if key != "op"})
                return {"state": self._state()}
            case "inject":
                self.faults.inject(request)
            case "clear":
                self.faults.clear()
            case "stats":
                return {"counters": dict(self.counters), "struck": dict(self.faults.struck), "log": list(self.faults.log)}
            case op:
                raise InvalidArgumentError(f"op must be one of get, set, inject, clear, stats, not {op!r:.80}", key="op")
        return {}

    def _state(self) -> dict[str, object]:
        self._now()
        model = self.model
        return {
            "mode": model.mode,
            "power_w": model.power_w,
            "set_point_w": model.set_point_w,
            "soc": model.soc,
            "usable_wh": model.usable_wh,
            "voltage_v": model.voltage_v,
            "consumption_w": model.consumption_w,
            "production_w": model.production_w,
            "on_grid": model.on_grid,
            "frozen": self.frozen,
            "writable": self.writable,
        }

    def _set(self, values: dict[str, object]) -> None:
        """Change the state, all of it or nothing."""
        numbers = {key: check(key, values[key], *_SETTABLE[key]) for key in values.keys() & _SETTABLE.keys()}
        flags = {key: values[key] for key in values.keys() & {"on_grid", "frozen", "writable"}}
        strange = sorted(values.keys() - numbers.keys() - flags.keys() - {"mode"})
        if strange:
            raise InvalidArgumentError(f"{strange[0]} is nothing that can be set", key=strange[0])
        for key, value in flags.items():
            if not isinstance(value, bool):
                raise InvalidArgumentError(f"{key} must be true or false, not {value!r:.80}", key=key)
        mode = values.get("mode", self.model.mode)
        if mode not in MODES:
            raise InvalidArgumentError(f"mode must be one of {', '.join(MODES)} as text, not {mode!r:.80}", key="mode")
        self._documents()
        for key, number in numbers.items():
            setattr(self.model, key, number)
        for key, value in flags.items():
            setattr(self.model if key == "on_grid" else self, key, value)
        self.model.mode = str(mode)
