"""The routes of a studio's server without a studio (see `fake_api`)."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import sfumato

if TYPE_CHECKING:
    from fake_api import FakeStudio

APP = Path(sfumato.__file__).parent / "app"
FOLDERS = {"static": APP / "studio" / "static", "viewer": APP / "viewer"}
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class Server(ThreadingHTTPServer):
    """One whose visitors may leave in the middle of a word."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """The routes."""

    protocol_version = "HTTP/1.1"
    studio: FakeStudio

    def log_message(self, *_: object) -> None:
        """Silent."""

    def answer(self, status: int, body: object, kind: str = "application/json") -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", CSP)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(content)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        studio, path = self.studio, url.path
        query = parse_qs(url.query)
        if path == "/api/events":
            self.stream()
        elif path == "/":
            self.file("static", "index.html")
        elif found := re.fullmatch(r"/(static|viewer)/([\w./-]+)", path):
            self.file(*found.groups())
        elif path in studio.files:
            self.answer(200, studio.files[path], "image/png")
        elif path == "/api/hello":
            self.answer(200, studio.hello)
        elif path == "/api/runs":
            rows = sorted(studio.runs.values(), key=lambda run: -run["id"])
            state = query.get("state", [""])[0]
            rows = [run for run in rows if not state or run["state"] in state.split(",")]
            self.answer(200, {"runs": rows[: int(query.get("limit", [50])[0])]})
        elif (found := re.fullmatch(r"/api/runs/(\d+)", path)) and int(found[1]) in studio.runs:
            run = studio.runs[int(found[1])]
            mine = [p for p in studio.pictures.values() if p["run"] == run["id"] and p["id"] not in studio.bin]
            self.answer(200, {**run, "pictures": mine})
        elif path == "/api/pictures":
            self.answer(200, studio.listed(query))
        elif (found := re.fullmatch(r"/api/pictures/(\d+)", path)) and int(found[1]) in studio.pictures:
            self.answer(200, studio.pictures[int(found[1])])
        else:
            self.answer(404, {"error": "there is nothing of this name"})

    def file(self, folder: str, name: str) -> None:
        path = FOLDERS[folder] / name
        if ".." in name or not path.is_file():
            self.answer(404, {"error": f"there is no {name}"})
        else:
            self.answer(200, path.read_bytes(), f"{TYPES.get(path.suffix, 'text/plain')}; charset=utf-8")

    def stream(self) -> None:
        studio = self.studio
        last = int(self.headers.get("Last-Event-ID") or len(studio.events))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(b": here\n\n")
            while not studio.closing:
                with studio.changed:
                    new = studio.events[last:]
                    if not new:
                        studio.changed.wait(0.2)
                        continue
                last += len(new)
                text = "".join(f"id: {i}\nevent: {name}\ndata: {data}\n\n" for i, name, data in new)
                self.wfile.write(text.encode())
                self.wfile.flush()
        self.close_connection = True

    def do_POST(self) -> None:
        self.change("POST")

    def do_DELETE(self) -> None:
        self.change("DELETE")

    def change(self, method: str) -> None:
        studio, url = self.studio, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("X-Sfumato") != "1":
            self.answer(403, {"error": "this request does not come from the studio's page"})
            return
        data = json.loads(body) if "json" in (self.headers.get("Content-Type") or "") and body else {}
        studio.asked.append((method, url.path, data))
        if f"{method} {url.path}" in studio.errors:
            status, line = studio.errors[f"{method} {url.path}"]
            self.answer(status, {"error": line})
            return
        try:
            self.answer(*self.done(method, url.path, parse_qs(url.query), data, body))
        except (ValueError, KeyError, StopIteration) as error:
            self.answer(422, {"error": str(error)})
        except PermissionError as error:
            self.answer(409, {"error": str(error)})

    def done(self, method: str, path: str, query: dict, data: dict, body: bytes) -> tuple[int, object]:  # noqa: PLR0911
        studio = self.studio
        if path == "/api/uploads":
            return 201, studio.upload(body, query["name"][0])
        if path == "/api/runs":
            return 202, studio.submit(data)
        if path == "/api/trainings":
            return 202, studio.train(data)
        if path == "/api/datasets":
            labels = sorted({p["label"] for p in data["pictures"] if p["label"]})
            row = {"id": next(studio.ids), "name": data["name"], "count": len(data["pictures"]), "labels": labels}
            studio.hello["data"].append(
                {"name": f"set:{row['id']}", "about": f"{row['name']}, {row['count']} pictures"}
            )
            studio.publish("hello", {})
            return 201, row
        if found := re.fullmatch(r"/api/runs/(\d+)/(cancel|again)", path):
            run = studio.runs[int(found[1])]
            return (200, studio.cancel(run)) if found[2] == "cancel" else (202, studio.again(run))
        if found := re.fullmatch(r"/api/pictures/(\d+)(/restore)?", path):
            shown = studio.pictures[int(found[1])]
            if found[2]:
                studio.bin.discard(shown["id"])
                studio.publish("picture", shown)
            else:
                studio.bin.add(shown["id"])
                studio.publish("removed", {"picture": shown["id"]})
            return 200, shown
        return 404, {"error": f"there is no {method} {path}"}
