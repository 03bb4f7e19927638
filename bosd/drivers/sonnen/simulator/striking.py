"""How each fault shows on the connection."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from bosd.drivers.sonnen.simulator.faults import Fault

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PAGE = "<!DOCTYPE html><html><head><title>sonnenBatterie</title></head><body>Log in</body></html>"
_PIECE = b" " * 16384
_SLOW_S = 5.0
_SLOW_BODY_S = 0.5


async def strike(fault: Fault, request: web.Request, answer: Handler) -> web.StreamResponse:
    """Answer a request as the fault has it; `answer` gives the good one."""
    match fault.name:
        case "error":
            return web.json_response({"error": f"{fault.status}"}, status=fault.status)
        case "slow":
            await asyncio.sleep(_SLOW_S if fault.seconds is None else fault.seconds)
            return await answer(request)
        case "reset" | "garbage" | "late":
            return await _break(fault, request, answer)
        case "text" | "html" | "redirect" | "zipped":
            return _instead(fault)
        case "field":
            return _with_field(fault, await answer(request))
        case _:
            return await _in_pieces(fault, request, await answer(request))


def _instead(fault: Fault) -> web.StreamResponse:
    """Return an answer that has nothing to do with what was asked."""
    match fault.name:
        case "html":
            return web.Response(text=_PAGE, content_type="text/html")
        case "redirect":
            return web.Response(status=302, headers={"Location": "https://login.example/"})
        case "zipped":
            return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}, content_type="application/json")
        case _:
            return web.Response(text=fault.body, content_type="application/json")


async def _break(fault: Fault, request: web.Request, answer: Handler) -> web.StreamResponse:
    """Do what is asked ("late") or not, then cut the connection, behind some bytes that are no HTTP or none."""
    response = await answer(request) if fault.name == "late" else web.Response()
    if request.transport is not None:
        if fault.name == "garbage":
            request.transport.write(b"\x00\xffSSH-2.0-dropbear\r\n\r\n")
            request.transport.close()
        else:
            request.transport.abort()
    return response


def _with_field(fault: Fault, response: web.StreamResponse) -> web.StreamResponse:
    """Change one field of the document; NaN and infinities are written as Python's JSON does."""
    if not isinstance(response, web.Response) or response.text is None:
        return response
    document = json.loads(response.text)
    if not isinstance(document, dict):
        return response
    if fault.has_value:
        document[fault.field] = {"NaN": float("nan"), "Infinity": float("inf")}.get(str(fault.value), fault.value)
    else:
        document.pop(fault.field, None)
    return web.json_response(document, status=response.status)


async def _in_pieces(fault: Fault, request: web.Request, good: web.StreamResponse) -> web.StreamResponse:
    """Send the body byte by byte ("slow_body"), half of it ("truncated"), or without an end ("huge")."""
    body = good.body if isinstance(good, web.Response) and isinstance(good.body, bytes) else b""
    response = web.StreamResponse(status=good.status)
    response.content_type = "application/json"
    if fault.name != "huge":
        response.content_length = len(body)
    await response.prepare(request)
    try:
        if fault.name == "truncated":
            await response.write(body[: len(body) // 2])
            await asyncio.sleep(0)
        elif fault.name == "huge":
            while True:
                await response.write(_PIECE)
        else:
            for place in range(len(body)):
                await response.write(body[place : place + 1])
                await asyncio.sleep(_SLOW_BODY_S if fault.seconds is None else fault.seconds)
    except ConnectionError:
        return response  # the client has enough
    if request.transport is not None:
        request.transport.close()
    return response
