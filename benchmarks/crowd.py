"""A class at one studio, killed in the middle:  python -m benchmarks.crowd [--clients N] [--seconds S] [--kills N]

Every client listens to the events and does what people do: looks at the gallery, at a run, at a picture, asks for new
pictures now and then and gives some of them up. Meanwhile the studio is killed (SIGKILL) and started again in the same
folder. In the end every run that was accepted must have ended as it should, with its pictures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.machine import facts

HEADERS = {"X-Sfumato": "1"}
STEPS = 5
"""Of the pictures asked for: it is the queue that is tried, not the model."""
PAUSE = 0.25, 1.0
"""Seconds between two requests of a client."""
ASKS, GIVES_UP = 0.03, 0.15
"""How often a client asks for a picture, and then gives it up."""
PATIENCE = 600.0
"""Seconds that the queue may take to empty at the end."""


class Studio:
    """The command in a process of its own, that can be killed and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "sfumato", "studio", "--no-open", "-o", str(self.folder)]
        process = subprocess.Popen(
            [*words, "--port", str(self.port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise SystemExit(f"the studio did not start: {line.strip() or 'it said nothing'}")
        self.port = int(line.rsplit(":", 1)[1].split("/")[0])
        return process

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> float:
        """Kill it and start it again; the seconds until it has printed its address."""
        self.process.kill()
        self.process.wait()
        begun = time.perf_counter()
        self.process = self._start()
        return time.perf_counter() - begun

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self.process.terminate()
        self.process.wait()


@dataclass
class Seen:
    """What the clients have met."""

    seconds: list[float] = field(default_factory=list)
    """Of the requests that start no run."""
    accepted: dict[int, bool] = field(default_factory=dict)
    """Runs, and whether their client gave them up."""
    refused: int = 0
    """Requests for pictures, because too many waited."""
    cut: int = 0
    """Requests that a kill broke off, or that found nobody."""
    wrong: list[str] = field(default_factory=list)
    """Answers that should not be."""
    events: int = 0


async def listen(client: httpx2.AsyncClient, seen: Seen) -> None:
    """Listen to the events, and come back as a browser does."""
    last = ""
    while True:
        with contextlib.suppress(httpx2.TransportError):
            headers = {"Last-Event-ID": last} if last else {}
            async with client.stream("GET", "/api/events", headers=headers, timeout=None) as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("id: "):
                        last, seen.events = line[4:], seen.events + 1
        await asyncio.sleep(1)


async def use(client: httpx2.AsyncClient, chance: random.Random, until: float, seen: Seen) -> None:
    """What one client does."""
    while time.monotonic() < until:
        try:
            if chance.random() < ASKS:
                await ask(client, chance, seen)
            else:
                await look(client, chance, seen)
        except httpx2.TransportError:
            seen.cut += 1
        await asyncio.sleep(chance.uniform(*PAUSE))


async def look(client: httpx2.AsyncClient, chance: random.Random, seen: Seen) -> None:
    """One request that starts no run."""
    known = list(seen.accepted)
    paths = ["/", "/api/hello", "/api/runs", "/api/pictures", "/api/pictures?search=3"]
    if known:
        paths += [f"/api/runs/{chance.choice(known)}"] * 3
    path = chance.choice(paths)
    answer = await timed(client, path, seen)
    if answer.status_code != 200:
        seen.wrong.append(f"{path}: {answer.status_code}")
    elif path.startswith("/api/pictures"):
        for picture in answer.json()["pictures"][:3]:
            file = await timed(client, f"/api/pictures/{picture['id']}/file", seen)
            if file.status_code != 200:
                seen.wrong.append(f"the file of picture {picture['id']}: {file.status_code}")


async def timed(client: httpx2.AsyncClient, path: str, seen: Seen) -> httpx2.Response:
    """A request, whose time is kept."""
    begun = time.perf_counter()
    answer = await client.get(path, timeout=60)
    seen.seconds.append(time.perf_counter() - begun)
    return answer


async def ask(client: httpx2.AsyncClient, chance: random.Random, seen: Seen) -> None:
    """Ask for a digit, and perhaps give it up."""
    job = {"kind": "generate", "prompt": chance.choice("0123456789"), "steps": STEPS, "seed": chance.randrange(2**31)}
    answer = await client.post("/api/runs", json={"job": job}, headers=HEADERS, timeout=60)
    if answer.status_code == 429:
        seen.refused += 1
        return
    if answer.status_code != 202:
        seen.wrong.append(f"a run: {answer.status_code} {answer.text}")
        return
    run = int(answer.json()["id"])
    seen.accepted[run] = False
    if chance.random() < GIVES_UP:
        given_up = await client.post(f"/api/runs/{run}/cancel", headers=HEADERS, timeout=60)
        seen.accepted[run] = given_up.status_code == 200


async def ended(url: str, runs: dict[int, bool]) -> dict[str, int]:
    """How each accepted run ended, once all have."""
    async with httpx2.AsyncClient(base_url=url) as client:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and await waiting(client):
            await asyncio.sleep(1)
        ends: dict[str, int] = {}
        for run, given_up in runs.items():
            answer = await client.get(f"/api/runs/{run}")
            end = outcome(answer.json(), given_up) if answer.status_code == 200 else "LOST"
            ends[end] = ends.get(end, 0) + 1
        return ends


async def waiting(client: httpx2.AsyncClient) -> bool:
    """Whether any run has not ended."""
    for state in ("running", "queued"):
        if (await client.get(f"/api/runs?state={state}&limit=1")).json()["runs"]:
            return True
    return False


def outcome(told: dict[str, Any], given_up: bool) -> str:
    """A word for how a run ended; in capitals where it should not."""
    state = str(told["state"])
    if state == "done":
        return "done" if len(told["pictures"]) == 1 else f"DONE WITH {len(told['pictures'])} PICTURES"
    return state if state == "cancelled" and given_up else state.upper()


async def crowd(clients: int, seconds: float, kills: int) -> bool:
    """Run it all, print what came out; whether everything ended as it should."""
    with tempfile.TemporaryDirectory() as folder:
        studio, seen, restarts = Studio(Path(folder)), Seen(), []
        limits = httpx2.Limits(max_connections=None)
        begun = time.monotonic()
        async with contextlib.AsyncExitStack() as stack:
            each = [
                await stack.enter_async_context(httpx2.AsyncClient(base_url=studio.url, limits=limits))
                for _ in range(clients)
            ]
            listening = [asyncio.create_task(listen(client, seen)) for client in each]
            using = [
                asyncio.create_task(use(client, random.Random(number), begun + seconds, seen))
                for number, client in enumerate(each)
            ]
            for k in range(kills):
                await asyncio.sleep(max(0.0, begun + seconds * (k + 1) / (kills + 1) - time.monotonic()))
                restarts.append(await asyncio.to_thread(studio.kill))
            await asyncio.gather(*using)
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
        asked = time.monotonic() - begun
        ends = await ended(studio.url, seen.accepted)
        studio.stop()

    times = sorted(seen.seconds)
    p50, p99 = (times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99))
    print(facts())
    print(f"{clients} clients, {asked:.0f} s, {kills} × SIGKILL, back in {', '.join(f'{s:.2f} s' for s in restarts)}")
    print(
        f"{len(times):,} requests that start no run: median {p50 * 1e3:.0f} ms, 99 % within {p99 * 1e3:.0f} ms, "
        f"longest {times[-1] * 1e3:.0f} ms; {seen.cut} cut off by a kill; {seen.events:,} events"
    )
    told = ", ".join(f"{number} {end}" for end, number in sorted(ends.items()))
    print(f"{len(seen.accepted)} runs accepted, {seen.refused} refused: {told}")
    for line in seen.wrong[:20]:
        print(f"WRONG: {line}")
    return not seen.wrong and all(end.islower() for end in ends)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--kills", type=int, default=1)
    options = parser.parse_args()
    sys.exit(0 if asyncio.run(crowd(options.clients, options.seconds, options.kills)) else 1)


if __name__ == "__main__":
    main()
