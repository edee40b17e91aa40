"""A server that answers as the studio's does, in this process and without a model: for tests of the page.

Its pictures are made by PIL, its steps go at the pace that a test sets, and it keeps what it was asked.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import queue
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import Image, ImageDraw, PngImagePlugin

import sfumato.app.studio
import sfumato.app.viewer

STATIC = Path(sfumato.app.studio.__file__).parent / "static"
VIEWER = Path(sfumato.app.viewer.__file__).parent
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html; charset=utf-8", ".svg": "image/svg+xml"}
DIGITS = [str(digit) for digit in range(10)]
ENDED = {"done", "failed", "cancelled"}


def model(name: str, title: str, shape: list[int], conditions: str, **other: Any) -> dict[str, Any]:
    facts = {"name": name, "title": title, "shape": shape, "conditions": conditions, "classes": []}
    facts |= {
        "steps": 12,
        "guidance": 5.0,
        "most_steps": 300,
        "times": 300,
        "larger": None,
        "low_res": None,
        "judge": False,
    }
    return facts | other


MODELS = [
    model("digits", "digits", [1, 28, 28], "classes", classes=DIGITS, judge=True),
    model("digits/time", "digits, unconditional", [1, 28, 28], "none", guidance=1.0),
    model("emoji", "emoji", [3, 64, 64], "words", guidance=7.0, steps=20, larger={"name": "emoji/large", "size": 256}),
    model("emoji/large", "emoji, larger", [3, 256, 256], "words", low_res=64),
]


def png(image: Image.Image, job: dict[str, Any] | None = None) -> bytes:
    buffer = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    if job is not None:
        info.add_itxt("sfumato", json.dumps(job))
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def in_job(data: bytes, name: str, **other) -> dict:
    """A picture as a job carries it."""
    return {"name": name, "png": base64.b64encode(data).decode(), "made_by": None, **other}


def data_url(image: Image.Image) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(image)).decode()}"


class Fake:
    """The state of the server; one for a test."""

    def __init__(self) -> None:
        self.pace = 0.01
        """Seconds that a step takes."""
        self.hold_at: int | None = None
        """A run waits when it has done so many steps."""
        self.asked: list[tuple[str, str, Any]] = []
        """(method, path, JSON or None) of what changed something."""
        self.refuse: tuple[int, str] | None = None
        """What the next POST of a run is answered instead."""
        self.runs: dict[int, dict[str, Any]] = {}
        self.jobs: dict[int, list[dict[str, Any]]] = {}
        self.pictures: dict[int, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, dict[str, Any]] = {}
        self.hello_after = 0.0
        """Seconds that /api/hello takes."""
        self._lock = threading.RLock()
        self._work: queue.Queue[int] = queue.Queue()
        self._streams: list[queue.Queue[tuple[int, str, str] | None]] = []
        self._connections: set[socket.socket] = set()
        self._event = 0
        self._http: ThreadingHTTPServer | None = None
        self.port = 0
        threading.Thread(target=self._worker, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Listen; after `stop` at the same address."""
        fake = self

        class Handler(_Handler):
            studio = fake

        ThreadingHTTPServer.allow_reuse_address = True
        ThreadingHTTPServer.daemon_threads = True
        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Go away, with all connections."""
        if self._http is None:
            return
        self._http.shutdown()
        self._http.server_close()
        self._http = None
        for stream in list(self._streams):
            stream.put(None)
        for connection in list(self._connections):  # they are kept alive, and would go on answering
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """The end."""
        self.stop()
        self._work.put(-1)

    def posted(self, path: str) -> list[Any]:
        """The bodies that were posted there."""
        return [body for method, at, body in self.asked if method == "POST" and at == path]

    def publish(self, name: str, data: Any) -> None:
        with self._lock:
            self._event += 1
            for stream in self._streams:
                stream.put((self._event, name, json.dumps(data)))

    def upload(self, body: bytes, name: str) -> dict[str, Any]:
        image = Image.open(io.BytesIO(body))
        job = json.loads(image.info["sfumato"]) if "sfumato" in image.info else None
        bare = image.convert("L" if image.mode == "L" else "RGB")
        data = png(bare)
        key = hashlib.sha256(data).hexdigest()
        self.files[f"/api/uploads/{key}"] = data
        self.uploads[key] = {
            "id": key,
            "url": f"/api/uploads/{key}",
            "name": name,
            "width": bare.width,
            "height": bare.height,
            "mode": bare.mode,
            "job": job,
            "parameters": None,
        }
        return self.uploads[key]

    def submit(self, body: dict[str, Any]) -> dict[str, Any]:
        asked = dict(body["job"])
        known = next(one for one in MODELS if one["name"] == asked.get("model", "digits"))
        base = {"model": known["name"], "seed": 0, "steps": known["steps"], "guidance": known["guidance"]}
        variants: list[dict[str, Any]] = [{}]
        for plural, single in (("prompts", "prompt"), ("begins", "begin"), ("times", "t")):
            if plural in asked:
                variants = [{single: one} for one in asked.pop(plural)]
        for name in ("image", "mask"):
            if "upload" in (asked.get(name) or {}):
                upload = self.uploads[asked[name]["upload"]]
                small = Image.open(io.BytesIO(self.files[upload["url"]])).convert(
                    "L" if known["shape"][0] == 1 else "RGB"
                )
                small = small.resize(tuple(known["shape"][1:]))
                asked[name] = {"name": upload["name"], "png": base64.b64encode(png(small)).decode(), "made_by": None}
        jobs = []
        for variant in variants:
            for k in range(body.get("count", 1)):
                whole = base | asked | variant
                jobs.append(whole | {"seed": whole["seed"] + k})
        with self._lock:
            number = len(self.runs) + 1
            title = ", ".join(dict.fromkeys(str(job.get("prompt") or "anything") for job in jobs))
            self.runs[number] = {
                "id": number, "kind": "pictures", "title": title, "state": "queued", "error": None,
                "created": time.time(), "started": None, "finished": None, "done": 0,
                "total": jobs[0]["steps"] * len(jobs), "eta": None, "ahead": self._ahead(number), "jobs": len(jobs),
                "attempts": 0, "frames": None, "notes": [], "training": None, "model": known["name"],
            }  # fmt: skip
            self.jobs[number] = jobs
        self.publish("run", self.runs[number])
        self._work.put(number)
        return self.runs[number]

    def cancel(self, number: int) -> dict[str, Any] | None:
        run = self.runs[number]
        if run["state"] in ENDED:
            return None
        run |= {"state": "cancelled", "finished": time.time()}
        self.publish("run", run)
        return run

    def whole(self, number: int) -> dict[str, Any]:
        return self.runs[number] | {"pictures": [shown for shown in self.pictures.values() if shown["run"] == number]}

    def _ahead(self, number: int) -> int:
        return sum(run["state"] not in ENDED and run["id"] < number for run in self.runs.values())

    def _worker(self) -> None:
        while (number := self._work.get()) >= 0:
            self._make(number)

    def _make(self, number: int) -> None:
        run = self.runs[number]
        if run["state"] in ENDED:
            return
        run |= {"state": "running", "started": time.time(), "ahead": 0}
        self.publish("run", run)
        for job in self.jobs[number]:
            shape = next(one for one in MODELS if one["name"] == job["model"])["shape"]
            for step in range(job["steps"]):
                time.sleep(self.pace)
                while self.hold_at is not None and run["done"] >= self.hold_at and run["state"] == "running":
                    time.sleep(0.02)
                if run["state"] == "cancelled":
                    return
                run["done"] += 1
                run["eta"] = (run["total"] - run["done"]) * self.pace
                clean, noisy = _picture(job, shape), _noise(shape, step)
                self.publish("run", run)
                self.publish(
                    "preview",
                    {"run": number, "stage": 0, "step": step + 1, "of": job["steps"], "t": 300 - step,
                     "x": [data_url(Image.blend(noisy, clean, step / job["steps"]))], "x0": [data_url(clean)]},
                )  # fmt: skip
            self._shown(number, job, shape)
        run |= {"state": "done", "finished": time.time(), "eta": None}
        self.publish("run", run)

    def _shown(self, number: int, job: dict[str, Any], shape: list[int]) -> None:
        key = len(self.pictures) + 1
        prompt = job.get("prompt")
        self.files[f"/api/pictures/{key}/file"] = png(_picture(job, shape), job)
        right = job["seed"] % 2 == 0
        read = prompt if right else "0"
        share = 0.97 if right else 0.03
        readings = [{"look": "as it is", "prompt": prompt, "read": read, "probability": share, "right": right}]
        self.pictures[key] = {
            "id": key, "run": number, "url": f"/api/pictures/{key}/file", "name": f"{job['kind']}-{key}.png",
            "width": shape[2], "height": shape[1], "title": f"{prompt or 'anything'}", "kind": job["kind"],
            "model": job["model"], "created": time.time(), "seed": job["seed"], "job": job,
            "command": f"sfumato {job['kind']} {prompt or ''} --steps {job['steps']} --seed {job['seed']}",
            "parameters": "", "readings": readings if prompt and shape[0] == 1 else [],
        }  # fmt: skip
        self.publish("picture", self.pictures[key])


def _picture(job: dict[str, Any], shape: list[int]) -> Image.Image:
    """The prompt, written; over the job's picture where it has one."""
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    image = Image.new(mode, (width, height))
    if "image" in job:
        image = Image.open(io.BytesIO(base64.b64decode(job["image"]["png"]))).convert(mode)
    ImageDraw.Draw(image).text(
        (width * 0.3, 1), str(job.get("prompt") or "?")[:4], fill="white", font_size=height * 0.8
    )
    return image


def _noise(shape: list[int], step: int) -> Image.Image:
    channels, height, width = shape
    image = Image.effect_noise((width, height), 90)
    return image if channels == 1 else image.convert("RGB")


class _Handler(BaseHTTPRequestHandler):
    studio: Fake
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.studio._connections.add(self.connection)

    def finish(self) -> None:
        self.studio._connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", CSP)
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _json(self, status: int, data: Any) -> None:
        self._answer(status, json.dumps(data).encode(), "application/json")

    def _no(self, status: int, why: str) -> None:
        self._json(status, {"error": why})

    def do_GET(self) -> None:  # noqa: PLR0911
        path = unquote(urlsplit(self.path).path)
        query = parse_qs(urlsplit(self.path).query)
        fake = self.studio
        if path == "/":
            return self._file(STATIC / "index.html")
        if path.startswith("/static/"):
            return self._file(STATIC / path.removeprefix("/static/"))
        if path.startswith("/viewer/"):
            return self._file(VIEWER / path.removeprefix("/viewer/"))
        if path in fake.files:
            return self._answer(200, fake.files[path], "image/png")
        if path == "/api/hello":
            time.sleep(fake.hello_after)
            return self._json(200, HELLO)
        if path == "/api/events":
            return self._events()
        if path == "/api/runs":
            states = query.get("state", [None])[0]
            return self._json(200, {"runs": [run for run in fake.runs.values() if states in (None, run["state"])]})
        if path.startswith("/api/runs/") and int(path.split("/")[3]) in fake.runs:
            return self._json(200, fake.whole(int(path.split("/")[3])))
        if path == "/api/pictures":
            return self._json(200, {"pictures": list(fake.pictures.values())[::-1], "more": False})
        return self._no(404, "there is nothing of this name")

    def do_POST(self) -> None:  # noqa: PLR0911
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fake = self.studio
        if self.headers.get("X-Sfumato") != "1":
            return self._no(403, "the header X-Sfumato is missing")
        data = None if path == "/api/uploads" else json.loads(body or b"{}")
        fake.asked.append(("POST", path, data))
        if path == "/api/uploads":
            name = parse_qs(urlsplit(self.path).query)["name"][0]
            return self._json(201, fake.upload(body, name))
        if path == "/api/runs":
            if fake.refuse is not None:
                status, why = fake.refuse
                fake.refuse = None
                return self._no(status, why)
            return self._json(202, fake.submit(data))
        parts = path.split("/")
        if path.endswith("/cancel"):
            run = fake.cancel(int(parts[3]))
            return self._no(409, "this run has ended") if run is None else self._json(200, run)
        if path.endswith("/again"):
            jobs = fake.jobs[int(parts[3])]
            return self._json(202, fake.submit({"job": jobs[0], "count": len(jobs)}))
        return self._no(404, "there is nothing of this name")

    def _file(self, path: Path) -> None:
        if not path.is_file():
            return self._no(404, "there is no such file")
        return self._answer(200, path.read_bytes(), TYPES[path.suffix])

    def _events(self) -> None:
        stream: queue.Queue[tuple[int, str, str] | None] = queue.Queue()
        self.studio._streams.append(stream)
        self.close_connection = True
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"retry: 300\n\n")
            while True:
                try:
                    event = stream.get(timeout=5)
                except queue.Empty:
                    self.wfile.write(b": still here\n\n")
                    continue
                if event is None:
                    return
                number, name, data = event
                self.wfile.write(f"id: {number}\nevent: {name}\ndata: {data}\n\n".encode())
        except OSError:
            pass
        finally:
            self.studio._streams.remove(stream)


HELLO = {
    "version": "0.1.0",
    "device": "cpu",
    "folder": "/somewhere/studio",
    "models": MODELS,
    "views": [
        {"text": "identity", "about": "as it is"},
        {"text": "rotate:180", "about": "turned by 180°"},
        {"text": "flip", "about": "upside down"},
        {"text": "negate", "about": "the negative"},
    ],
    "factors": [{"text": "frequency:2", "about": "low and high frequencies", "parts": 2}],
    "samplers": ["ddpm", "ddim", "euler", "heun", "dpmpp-2m"],
    "spacings": ["strided", "leading", "trailing", "linspace"],
    "recipes": [{"name": "class", "summary": "class-conditioned", "settings": {"epochs": 20}}],
    "data": [{"name": "mnist", "about": "handwritten digits"}],
    "limits": {"upload": 20_000_000, "count": 64, "steps": 1000, "queue": 200},
}  # fmt: skip


if __name__ == "__main__":
    here = Fake()
    here.port = 8123
    here.pace = 0.1
    here.start()
    print(here.url, flush=True)
    threading.Event().wait()
