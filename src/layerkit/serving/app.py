"""The web page, and the one request that it makes: for a denoised picture.

``POST /denoise?strength=1.5&name=a.jpg`` takes the bytes of a picture file and gives those of a PNG file; the header
``X-Found`` says which noise was found. The name is for messages, and its suffix for formats that are not recognized by
their content. Errors are returned as a sentence, ``{"error": "..."}``, with a status of 400 or more.
Pictures are kept only in memory.

Requests from other pages are refused. A page whose own name leads to this computer (DNS rebinding) sends that name in
the header ``Host``; one that sends a picture to this address is recognized by its ``Origin``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from layerkit.data.pictures import SUFFIXES
from layerkit.denoising.denoiser import Denoiser, Progress
from layerkit.errors import LayerkitError, TooLargeError
from layerkit.serving.upload import Answer, denoised_file

PAGE = files("layerkit") / "serving" / "page"
HOSTS = ("127.0.0.1", "localhost")
"""The names of this computer."""
MEGABYTE = 1_000_000
MAX_NAME = 100
"""Characters of a file's name that are used, the last ones."""
AT_ONCE = 2
"""Pictures that are denoised at once; others wait, so that memory is bounded."""
LOOK_EVERY = 0.2
"""Seconds between two checks of whether the client still waits for a picture."""
_KINDS = {"style.css": "text/css", "script.js": "text/javascript", "icon.svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class _NobodyWaits(Exception):
    """The client that asked for a picture has gone, or asked for another one."""


def application(denoiser: Denoiser, max_megabytes: int) -> Starlette:
    """Return the application of the page.

    Args:
        denoiser: of a network that is told the level of the noise.
        max_megabytes: of a picture file; what is larger is refused.
    """
    index = (PAGE / "index.html").read_text(encoding="utf-8").replace("MEGABYTES", str(max_megabytes))
    index = index.replace("ACCEPTED", ",".join(sorted(SUFFIXES)))
    turns = asyncio.Semaphore(AT_ONCE)

    async def denoise(request: Request) -> Response:
        _check(request)
        body = await _body(request, max_megabytes)
        strength = request.query_params.get("strength", "1")
        name = request.query_params.get("name", "")[-MAX_NAME:] or "the picture"
        async with turns:
            answer = await _while_somebody_waits(
                request, lambda progress: denoised_file(denoiser, body, name, strength, progress)
            )
        return Response(answer.png, media_type="image/png", headers=_HEADERS | {"X-Found": answer.found})

    async def page(request: Request) -> Response:
        return Response(index, media_type="text/html", headers=_HEADERS)

    async def part(request: Request) -> Response:
        name = request.url.path.removeprefix("/")
        return Response((PAGE / name).read_bytes(), media_type=_KINDS[name], headers=_HEADERS)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/denoise", denoise, methods=["POST"]),
            *(Route(f"/{name}", part) for name in _KINDS),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
        exception_handlers={HTTPException: _told, ClientDisconnect: _gone, _NobodyWaits: _gone, LayerkitError: _wrong},
    )


def _check(request: Request) -> None:
    """Refuse a request that does not come from this page, or is no picture.

    Raises:
        HTTPException: 403 or 415.
    """
    origin, host = request.headers.get("origin"), request.headers["host"]
    if origin is not None and origin != f"http://{host}":
        raise HTTPException(403, f"a page of {origin} may not ask for anything here; open http://{host}/")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if not kind.startswith("image/") and kind != "application/octet-stream":
        raise HTTPException(415, f'expected a picture file as image/... or application/octet-stream, not "{kind}"')


async def _body(request: Request, max_megabytes: int) -> bytes:
    """Return what was sent, and read no more of it than may be.

    Raises:
        HTTPException: 413, or 400 where nothing was sent.
    """
    length, most = request.headers.get("content-length", ""), max_megabytes * MEGABYTE
    too_large = HTTPException(413, f"at most {max_megabytes} MB can be taken; make the file smaller")
    if length.isdecimal() and int(length) > most:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large
    if not body:
        raise HTTPException(400, "no picture was sent; send the bytes of a file")
    return bytes(body)


async def _while_somebody_waits(request: Request, work: Callable[[Progress], Answer]) -> Answer:
    """Return what some work in another thread gives, and end it when nobody waits for that any more.

    Args:
        request: of whoever waits.
        work: is given what it must call now and then.

    Raises:
        _NobodyWaits: when nobody does.
    """
    ended = threading.Event()

    def progress(done: int, of: int) -> None:
        if ended.is_set():
            raise _NobodyWaits

    if await request.is_disconnected():
        raise _NobodyWaits
    running = asyncio.ensure_future(run_in_threadpool(work, progress))
    while not running.done():
        await asyncio.wait([running], timeout=LOOK_EVERY)
        if await request.is_disconnected():
            ended.set()
    return await running


def _answer(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status, _HEADERS)


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(error.status_code, error.detail)


async def _wrong(request: Request, error: Exception) -> Response:
    return _answer(413 if isinstance(error, TooLargeError) else 400, str(error))


async def _gone(request: Request, error: Exception) -> Response:
    return _answer(499, "nobody waits for this any more")  # and nobody reads it
