"""The socket of the studio: had before anything else is started, so that its address can be said at once."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from sfumato.errors import UsageError

PORT = 7860
"""Where it listens by default; where that is taken, at one of the next."""
NEXT = 20
"""Ports that are tried then."""


@contextmanager
def listening_at(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens at an address and port; 0 is any port that is free.

    Raises UsageError when there is none to be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host}: no address of this machine; try 127.0.0.1") from error
    ports = range(PORT, PORT + NEXT) if port == PORT else range(port, port + 1)
    for each in ports:
        try:
            listening = socket.create_server((str(address[0]), each), family=family, backlog=128)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise UsageError(f"cannot listen at {host}, port {each}: {error.strerror}") from error
        with listening:
            # Connections inherit it. An answer leaves in two pieces, head and body; without it the second waits until
            # the client has acknowledged the first, which it does 40 ms later.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield listening
        return
    taken = f"port {port} is" if len(ports) == 1 else f"ports {ports[0]} to {ports[-1]} are"
    raise UsageError(f"{taken} taken; choose another with --port, or any with --port 0")
