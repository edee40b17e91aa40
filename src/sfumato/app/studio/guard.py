"""Who may ask the studio for anything: this machine's own page, and nobody else's.

A server on 127.0.0.1 can be asked by every page that a browser shows. So before anything else is looked at: the request
is for our host (no name of a stranger's that points here), comes from our page (no form or script of another), changes
nothing without a header that only our scripts can send, and is not too large. All answers forbid whatever the page does
not need.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_UPLOAD = 32_000_000
"""Bytes of a picture."""
MOST_BODY = 4_000_000
"""Bytes of any other body."""
MOST_DRAINED = 128_000_000
"""Bytes of a body that is refused, and read for nothing."""
DRAINED_WITHIN = 1.0
"""Seconds that are waited for each piece of it."""
UPLOADS = "/api/uploads"
"""The one path whose body is no JSON."""
HEADER = "x-sfumato"
"""What must be there, `1`, in requests that change something: no form of another page can send it."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of all answers that have none of their own."""
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=(), display-capture=()",
}

_log = logging.getLogger("sfumato.studio")


class Refused(Exception):
    """A request that is not let through, with the status and the one line that say so."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status
        self.line = line


@dataclass(frozen=True)
class Access:
    """Where the studio is, and who is let in."""

    host: str = "127.0.0.1"
    """The address that it listens at."""
    port: int = 7860
    token: str | None = None
    """What everybody must know; None where only this machine can reach it."""

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token; studios on other ports of this host have other ones."""
        return f"sfumato-{self.port}"

    def is_ours(self, authority: str) -> bool:
        """Whether a Host header names this studio."""
        name, port = _parted(authority)
        if port != str(self.port) and not (port == "" and self.port == 80):
            return False
        if name in {"127.0.0.1", "localhost", "::1"} or name == self.host.lower():
            return True
        # At all addresses of the machine: by any of them. No name: it could be moved here by its owner.
        return self.token is not None and self.host in {"0.0.0.0", "::"} and _is_address(name)

    def knows(self, token: str) -> bool:
        """Whether this is the token; takes as long for every wrong one."""
        return self.token is not None and hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())


@dataclass
class Guard:
    """ASGI middleware; the first in line, so that what it refuses reaches nothing else."""

    app: ASGIApp
    access: Access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it; whatever goes wrong behind becomes one line."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there is nothing to speak to
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Answer(send, scope)
        try:
            headers = _headers(scope)
            if (redirect := self._check(scope, headers)) is not None:
                await answer.redirect(redirect)
                return
            await self.app(scope, _limited(receive, _most(scope)), answer.send)
        except Refused as refused:
            await _drained(receive)
            await answer.line(refused.status, refused.line)
        except Exception:
            _log.exception("%s %s failed", scope["method"], scope["path"])
            await answer.line(500, "something went wrong in the studio; studio.log in its folder says what")

    def _check(self, scope: Scope, headers: Mapping[str, str]) -> str | None:
        """Raise Refused, or return the cookie that a request with the token gets."""
        method, access = scope["method"], self.access
        if not access.is_ours(headers.get("host", "")):
            raise Refused(421, "this is not the address of the studio; open the one that it has printed")
        site = headers.get("sec-fetch-site", "none")
        if site not in {"none", "same-origin"} and not _is_visit(scope, headers):
            raise Refused(403, "another page may not use the studio")
        if method not in {"GET", "HEAD"}:
            origin = headers.get("origin")
            if origin is not None and origin.lower() != f"http://{headers['host'].lower()}":
                raise Refused(403, "another page may not use the studio")
            if headers.get(HEADER) != "1":
                raise Refused(403, "requests that change something need the header X-Sfumato: 1")
        given = self._token_in(scope)
        if access.token is not None and given is None and not access.knows(_cookie(headers, access.cookie)):
            raise Refused(401, "open the address with the token that the studio has printed")
        _check_body(scope, headers)
        return given

    def _token_in(self, scope: Scope) -> str | None:
        """The cookie for whoever opens the page with the token. Raises Refused for a wrong one."""
        if self.access.token is None or scope["path"] != "/" or scope["method"] != "GET":
            return None
        tokens = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20).get("token")
        if tokens is None:
            return None
        if not self.access.knows(tokens[0]):
            raise Refused(401, "this is not the token of the studio; open the address that it has printed")
        return f"{self.access.cookie}={self.access.token}; Path=/; HttpOnly; SameSite=Strict"


@dataclass
class _Answer:
    """What is sent, with our headers."""

    to: Send
    scope: Scope
    started: bool = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": self._with_ours(message.get("headers", []))}
        await self.to(message)

    async def line(self, status: int, line: str) -> None:
        """One line as JSON, unless an answer is on its way already."""
        if self.started:
            return  # the server sees an answer that does not end, and closes the connection
        body = json.dumps({"error": line}, ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status in {413, 421}:
            headers.append((b"connection", b"close"))  # what follows of it is not wanted
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": b"" if self.scope["method"] == "HEAD" else body})

    async def redirect(self, cookie: str) -> None:
        """To the page, without the token in the address."""
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
        headers.append((b"cache-control", b"no-store"))
        await self.send({"type": "http.response.start", "status": 303, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})

    def _with_ours(self, given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in given}
        own = {**_HEADERS, "content-security-policy": POLICY}
        if self.scope["path"].startswith("/api"):
            own["cache-control"] = "no-store"
        return [*given, *((k.encode(), v.encode()) for k, v in own.items() if k.encode() not in names)]


def _headers(scope: Scope) -> dict[str, str]:
    """By name. Raises Refused where one that is looked at here stands twice: others may read the other one."""
    out: dict[str, str] = {}
    single = {"host", "origin", "content-length", "content-type", "sec-fetch-site", HEADER, "transfer-encoding"}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in out and key in single:
            raise Refused(400, f"the header {key} stands twice in the request")
        joined = f"{out[key]}; " if key == "cookie" and key in out else ""
        out[key] = joined + value.decode("latin-1")
    return out


def _parted(authority: str) -> tuple[str, str]:
    """Name and port of a Host header, brackets left out; both empty for what is none."""
    if authority.startswith("["):
        name, bracket, rest = authority[1:].partition("]")
        return (name.lower(), rest[1:]) if bracket and rest[:1] in {"", ":"} else ("", "")
    name, _, port = authority.partition(":")
    return name.lower(), port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_visit(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Whether somebody follows a link to the page, in a window of its own."""
    ways = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
    return scope["method"] == "GET" and scope["path"] == "/" and ways == ("navigate", "document")


def _cookie(headers: Mapping[str, str], name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _most(scope: Scope) -> int:
    return MOST_UPLOAD if scope["path"] == UPLOADS else MOST_BODY


def _too_large(most: int) -> Refused:
    return Refused(413, f"that is more than the {most // 1_000_000} MB that the studio takes")


def _check_body(scope: Scope, headers: Mapping[str, str]) -> None:
    """Raise Refused for a body that says itself that it is too large, or that is no JSON where that is wanted."""
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()) or len(length) > 18:
        raise Refused(400, "the length of the request is no number")
    if int(length) > _most(scope):
        raise _too_large(_most(scope))
    has_body = int(length) > 0 or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and scope["path"] != UPLOADS and kind != "application/json":
        raise Refused(415, "the studio takes JSON: Content-Type: application/json")


def _limited(receive: Receive, most: int) -> Receive:
    """The body as it comes in. Raises Refused when it is too large, whatever it has said before."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > most:
                raise _too_large(most)
        return message

    return limited


async def _drained(receive: Receive) -> None:
    """Let the body of a refused request come in, within reason: who is cut off in the middle never hears why."""
    read = 0
    try:
        while read < MOST_DRAINED:
            async with asyncio.timeout(DRAINED_WITHIN):
                message = await receive()
            if message["type"] != "http.request" or not message.get("more_body", False):
                return
            read += len(message.get("body", b""))
    except TimeoutError:
        return
