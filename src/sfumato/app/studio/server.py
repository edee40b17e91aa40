"""The studio's server: where it listens, how it begins and how it ends."""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sfumato.app.studio.guard import Access, Guard
from sfumato.app.studio.listening import PORT, listening_at
from sfumato.app.studio.log import NAME, logging_to
from sfumato.errors import SfumatoError, UsageError
from sfumato.files import writing

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

    from sfumato.app.studio.events import Events
    from sfumato.app.studio.routes import Parts

MOST_CONNECTIONS = 512
"""At a time: a page that listens has one for it and a few for the rest; systems allow a process about 1,000 files."""
_WARMING = "sfumato-warm-up"
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]{8,200}")

_log = logging.getLogger("sfumato.studio")


@dataclass(frozen=True)
class Settings:
    """How a studio is started."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = PORT
    """0 is any that is free."""
    token: str | None = None
    """What a browser must know; one is made where others than this machine can reach it."""
    open_browser: bool = False
    device: str = "auto"
    quiet: bool = False
    debug: bool = False

    @property
    def access(self) -> Access:
        """Who is let in."""
        return Access(self.host, self.port, self.token)

    @property
    def url(self) -> str:
        """The address for a browser on this machine."""
        name = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host
        name = f"[{name}]" if ":" in name else name
        return f"http://{name}:{self.port}/" + (f"?token={self.token}" if self.token else "")


def make_parts(settings: Settings) -> Parts:
    """What the routes speak to. Raises UsageError when another server uses the folder."""
    from sfumato.app.studio.events import Events
    from sfumato.app.studio.models import Models
    from sfumato.app.studio.reader import Reader
    from sfumato.app.studio.routes import Parts
    from sfumato.app.studio.store import Store
    from sfumato.app.studio.supervisor import Supervisor

    with writing(settings.folder):
        settings.folder.mkdir(parents=True, exist_ok=True)
    folder = settings.folder.resolve()
    store, events = Store(folder), Events()
    supervisor = Supervisor(store, events, folder, settings.device)
    return Parts(store, events, supervisor, Reader(), Models(folder / "runs", settings.device))


def make_app(settings: Settings, parts: Parts | None = None) -> Starlette:
    """The application; it starts its parts when the server does, and stops them."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware

    from sfumato.app.studio.answers import HANDLERS
    from sfumato.app.studio.routes import Api

    known = parts or make_parts(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(known.supervisor.start)
        warming = threading.Thread(target=_warm_up, args=(known,), name=_WARMING, daemon=True)
        warming.start()
        try:
            yield
        finally:
            await _stop(known)
            await run_in_threadpool(warming.join, 1.0)

    guard = Middleware(Guard, access=settings.access)
    app = Starlette(routes=Api(known).routes(), middleware=[guard], exception_handlers=HANDLERS, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


def _warm_up(parts: Parts) -> None:
    """Import what is slow to import, and have it ready when it is asked for."""
    try:
        parts.models.described()
        parts.reader.start()
    except Exception:  # whoever asks for it is told then
        _log.exception("the studio could not warm up")


async def _stop(parts: Parts) -> None:
    import anyio
    from starlette.concurrency import run_in_threadpool

    parts.events.close()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_in_threadpool, parts.reader.close)
        tasks.start_soon(run_in_threadpool, parts.supervisor.stop)
    parts.store.close()


def make_server(settings: Settings, app: Starlette, events: Events) -> uvicorn.Server:
    """The server of an application; it ends the streams of `events` before it waits for its connections."""
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            events.close()
            await super().shutdown(sockets)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            with _signals(self.handle_exit):
                yield

    return Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=settings.debug,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=32_768,
        )
    )


def serve(settings: Settings) -> None:
    """Serve the studio until Ctrl-C or SIGTERM.

    Raises UsageError for an address or port that cannot be had, a folder that another studio uses, and where the
    packages of the extra `studio` are missing.
    """
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise UsageError(f"the studio needs {package}; install it: pip install 'sfumato[studio]'")
    settings = _with_token(settings)
    log = logging_to(settings.folder, debug=settings.debug)
    with listening_at(settings.host, settings.port) as listening, log:
        asked, port = settings.port, listening.getsockname()[1]
        settings = replace(settings, port=port)
        parts = make_parts(settings)
        server = make_server(settings, make_app(settings, parts), parts.events)
        _say(settings, asked)
        if settings.open_browser:
            threading.Thread(target=_open, args=(settings.url, lambda: server.started), daemon=True).start()
        try:
            server.run(sockets=[listening])
        except SystemExit as error:
            raise SfumatoError(f"the studio cannot start; {settings.folder / NAME} says why") from error
    if any(thread.name == _WARMING for thread in threading.enumerate()):
        # In the middle of importing torch, which does not bear that the interpreter ends. All of ours is closed.
        sys.stdout.flush()
        os._exit(0)


def _say(settings: Settings, asked: int) -> None:
    if settings.quiet:
        return
    taken = asked not in {0, settings.port}
    lines = [f"port {asked} is taken; this studio is at {settings.port}"] if taken else []
    lines += [f"sfumato studio: {settings.url}", f"Ctrl-C ends it; what is made lies in {settings.folder}"]
    if settings.token is not None and not _is_local(settings.host):
        lines.append("other machines that know the token can use it, and whoever sees their traffic can read it")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _with_token(settings: Settings) -> Settings:
    """With a token where others than this machine can reach it. Raises UsageError for one that is too weak."""
    if settings.token is None:
        return settings if _is_local(settings.host) else replace(settings, token=secrets.token_urlsafe(24))
    if not _TOKEN.fullmatch(settings.token):
        raise UsageError("--token wants at least 8 letters, digits and - _ . ~")
    return settings


def _is_local(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@contextmanager
def _signals(handle: Callable[..., None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask it to end, which is how it is meant to end."""
    if threading.current_thread() is not threading.main_thread():  # which alone hears of them
        yield
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open(url: str, started: Callable[[], bool]) -> None:
    """Show the page in a browser, where there is somebody to see it."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    for _ in range(100):
        if started():
            webbrowser.open(url)
            return
        time.sleep(0.1)
