"""The HTTP side of a Sonnen battery: one request at a time, each with a deadline, a bounded answer and a clear reason."""

import asyncio
import ssl
from collections import Counter
from pathlib import Path
from typing import Literal

import aiohttp

from bosd.drivers.sonnen.answers import Battery, Status, read_battery, read_json, read_status, shown
from bosd.drivers.sonnen.token import read_token
from bosd.errors import BosError, DriverError, UnavailableError

REPLY_S = 2.0
"""Longest time for one request, from connecting to the last byte of its answer."""
LONGEST_BODY = 65536
"""Bytes; the longest known answer, of `/configurations`, has about 2,000."""

_API = "/api/v2"
_SOFTWARE_INTEGRATION = 'the page "Software-Integration" of the battery'

_REFUSALS = {
    401: f"401 Unauthorized: the token is refused; {_SOFTWARE_INTEGRATION} shows the one in force",
    403: f"403 Forbidden: the token may not do this; allow the JSON write API on {_SOFTWARE_INTEGRATION}",
    404: "404 Not Found: this battery's firmware does not offer it by API v2",
}


class SonnenApi:
    """A battery's API v2 at `port` (`http://HOST[:PORT]`); the token is read anew for each request, so it may be exchanged.

    Every method raises UnavailableError (no answer, or the battery's server failed) or DriverError (refused, or nonsense).
    A connection serves one request: what was cancelled, cut or slow never meets the next one. A GET or PUT whose connection
    ends before any answer is sent once more, by aiohttp, within the same deadline; a POST is not. `counters` holds `requests`,
    `replies` and failures by reason.
    """

    def __init__(self, port: str, token_file: Path, ca_file: Path | None = None) -> None:
        self.port = port
        self.counters: Counter[str] = Counter()
        self._token_file = token_file
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    async def status(self) -> Status:
        """Return the status."""
        return read_status(await self._ask("GET", "/status"), f"{self.port}{_API}/status")

    async def battery(self) -> Battery:
        """Return what the battery says of its cells."""
        return read_battery(await self._ask("GET", "/battery"), f"{self.port}{_API}/battery")

    async def set_mode(self, mode: str) -> None:
        """Have the energy manager work in `mode` (EM_OperatingMode)."""
        await self._ask("PUT", "/configurations", {"EM_OperatingMode": mode})

    async def set_point(self, direction: Literal["charge", "discharge"], power_w: int) -> None:
        """Give the set point of manual mode, a magnitude in W."""
        path = f"/setpoint/{direction}/{power_w}"
        answer = await self._ask("POST", path)
        if answer is False:
            raise DriverError(f"{self.port}{_API}{path}: refused by the battery", port=self.port)

    async def close(self) -> None:
        """Close what is open; idempotent. Requests are refused from then on."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> object:
        """Send one request; return what its answer says, None for an empty one to a command."""
        place = f"{self.port}{_API}{path}"
        async with self._turn:
            self.counters["requests"] += 1
            try:
                body = await self._exchange(method, place, form)
                answer = None if not body and method != "GET" else read_json(body, place)
            except BosError as error:
                self.counters[error.reason.lower()] += 1
                raise
            self.counters["replies"] += 1
            return answer

    async def _exchange(self, method: str, place: str, form: dict[str, str] | None) -> bytes:
        session = self._opened()
        headers = {"Auth-Token": read_token(self._token_file)}
        try:
            async with (
                asyncio.timeout(REPLY_S),
                session.request(method, place, headers=headers, data=form, allow_redirects=False) as response,
            ):
                _check_head(response, place)
                return await _read_body(response, place)
        except TimeoutError:
            raise UnavailableError(f"{place}: no whole answer within {REPLY_S:g} s", port=self.port) from None
        except aiohttp.ClientConnectorCertificateError:
            message = (
                f"{place}: its certificate is not verified by {self._ca_file or 'what this system trusts'}; give its ca_file"
            )
            raise UnavailableError(message, port=self.port) from None
        except aiohttp.ClientConnectorError as error:
            cause = error.os_error.strerror or str(error.os_error)
            raise UnavailableError(f"{self.port}: {cause}".lower(), port=self.port) from None
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            raise UnavailableError(f"{place}: connection lost before the whole answer", port=self.port) from None
        except aiohttp.ClientError as error:
            raise DriverError(f"{place}: no HTTP answer ({type(error).__name__})", port=self.port) from None

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session; its jar keeps no cookies, and no proxy of the environment is asked."""
        if self._closed:
            raise UnavailableError(f"{self.port}: closed", port=self.port)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._trust(), force_close=True, use_dns_cache=False),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            )
        return self._session

    def _trust(self) -> ssl.SSLContext | bool:
        if self._ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=self._ca_file)
        except OSError as error:  # SSLError is one
            raise DriverError(f"ca_file {self._ca_file} cannot be used: {error}", path=str(self._ca_file)) from None


def _check_head(response: aiohttp.ClientResponse, place: str) -> None:
    """Raise what a status other than 2xx, or a coding that was not asked for, means."""
    status = response.status
    if status >= 500:
        raise UnavailableError(f"{place}: {status}: the battery's own server failed", status=status)
    if 300 <= status < 400:
        target = shown(response.headers.get("Location", "nowhere"))
        raise DriverError(f"{place}: {status}: redirected to {target}, which is not followed; is that the port?", status=status)
    if not 200 <= status < 300:
        raise DriverError(f"{place}: {_REFUSALS.get(status, f'{status}: refused')}", status=status)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        coding = shown(response.headers["Content-Encoding"])
        raise DriverError(f"{place}: content encoding {coding}, which was not asked for", place=place)


async def _read_body(response: aiohttp.ClientResponse, place: str) -> bytes:
    body = bytearray()
    while piece := await response.content.read(LONGEST_BODY + 1 - len(body)):
        body += piece
        if len(body) > LONGEST_BODY:
            raise DriverError(f"{place}: the answer is longer than {LONGEST_BODY} bytes", place=place)
    return bytes(body)
