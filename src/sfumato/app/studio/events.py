"""What happens, told to every page that listens: server-sent events, from any thread to any number of clients.

An event may replace an earlier one that nobody needs any more, such as the last preview of the same run. So whoever is
slow, or comes back after a while, gets what is still true and no more, and memory is bounded.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

RING = 500
"""Events that are kept for clients that come back."""
MOST_WAITING = 1000
"""Events that wait for one client."""
HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that nobody takes the connection for dead."""
FIRST_TO_GO = ("preview", "training")
"""Events that a slow client loses first: the next ones say the same, later."""


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    number: int
    name: str
    text: bytes
    """As it is sent."""


@dataclass(eq=False)
class _Client:
    """Somebody who listens; its fields are for the thread that holds the lock of `Events`."""

    loop: asyncio.AbstractEventLoop
    woken: asyncio.Event
    waiting: OrderedDict[str, Event] = field(default_factory=OrderedDict)
    """By what they replace, oldest first."""
    ringing: bool = False
    """Whether it has been told to look and has not looked yet."""
    over: bool = False
    """Whether nothing more is sent after what waits."""

    def wake(self) -> None:
        """Let it look. Raises RuntimeError when its loop is closed."""
        if not self.ringing:
            self.ringing = True
            self.loop.call_soon_threadsafe(self.woken.set)


class Events:
    """A place where threads tell what happens, and pages hear of it.

    Events are numbered; ids also name this server, so that one of an earlier server is known for what it is.
    """

    def __init__(self) -> None:
        self._server = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._number = 0
        self._ring: OrderedDict[str, Event] = OrderedDict()
        self._forgotten = 0
        """The last event that fell out of the ring with nothing in its place."""
        self._clients: set[_Client] = set()
        self._closed = False

    @property
    def clients(self) -> int:
        """How many listen."""
        with self._lock:
            return len(self._clients)

    def publish(self, name: str, data: Any, replaces: str | None = None) -> None:
        """Tell everybody.

        Args:
            name: What kind of event it is.
            data: Fit for JSON.
            replaces: A word for what it is about. An earlier event of this name about the same is no longer needed.
        """
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        with self._lock:
            self._number += 1
            # One line of JSON has no line breaks, which would end the data.
            lines = f"id: {self._server}-{self._number}\nevent: {name}\ndata: {text}\n\n"
            event = Event(self._number, name, lines.encode())
            key = f"{name} {self._number}" if replaces is None else f"{name} of {replaces}"
            _put(self._ring, key, event)
            if len(self._ring) > RING:
                _, oldest = self._ring.popitem(last=False)
                self._forgotten = oldest.number
            for client in list(self._clients):
                self._give(client, key, event)

    def forget(self, name: str, replaces: str) -> None:
        """Keep the last event of this name about this no longer for clients that come back."""
        with self._lock:
            self._ring.pop(f"{name} of {replaces}", None)

    def subscribe(self, last: str | None = None) -> AsyncIterator[bytes]:
        """The events from now on, as they are sent; call it in the loop that iterates.

        A client that comes back says the id of the `last` event that it had, and gets first what it has missed. Where
        that is no longer known it gets an event `missed`: it had better ask for everything again. One that is too slow
        is sent the end of the stream: browsers come back by themselves.
        """
        client = _Client(asyncio.get_running_loop(), asyncio.Event())
        greeting = b"retry: 1000\n\n"
        with self._lock:
            if last is not None:
                since = self._since(last)
                if since is None:
                    greeting += f"id: {self._server}-{self._number}\nevent: missed\ndata: {{}}\n\n".encode()
                else:
                    client.waiting.update((key, e) for key, e in self._ring.items() if e.number > since)
            client.over = self._closed
            self._clients.add(client)
        return self._stream(client, greeting)

    def close(self) -> None:
        """End all streams, when what waits has been sent: a server that goes down need not wait for its pages."""
        with self._lock:
            self._closed = True
            for client in list(self._clients):
                client.over = True
                self._wake(client)

    def _since(self, last: str) -> int | None:
        """The number of the event with this id; None when something that came after it is forgotten."""
        server, _, number = last.partition("-")
        if server != self._server or not (number.isascii() and number.isdecimal()) or len(number) > 18:
            return None
        return int(number) if self._forgotten <= int(number) <= self._number else None

    def _give(self, client: _Client, key: str, event: Event) -> None:
        if client.over:
            return
        _put(client.waiting, key, event)
        if len(client.waiting) > MOST_WAITING:
            for old in [key for key, waiting in client.waiting.items() if waiting.name in FIRST_TO_GO]:
                del client.waiting[old]
        if len(client.waiting) > MOST_WAITING:
            client.waiting.clear()  # it comes back and says which it had last
            client.over = True
            self._clients.discard(client)
        self._wake(client)

    def _wake(self, client: _Client) -> None:
        try:
            client.wake()
        except RuntimeError:  # its loop has ended, and nobody will read this
            self._clients.discard(client)

    async def _stream(self, client: _Client, greeting: bytes) -> AsyncIterator[bytes]:
        try:
            yield greeting
            over = False
            while not over:
                with self._lock:
                    events = list(client.waiting.values())
                    client.waiting.clear()
                    client.woken.clear()
                    client.ringing = False
                    over = client.over
                if events:
                    yield b"".join(event.text for event in events)
                elif not over:
                    try:
                        await asyncio.wait_for(client.woken.wait(), HEARTBEAT)
                    except TimeoutError:
                        yield b": still here\n\n"
        finally:
            with self._lock:
                self._clients.discard(client)


def _put(events: OrderedDict[str, Event], key: str, event: Event) -> None:
    """At the end, in the place of an earlier one."""
    events.pop(key, None)
    events[key] = event
