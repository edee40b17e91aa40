"""The routes of the studio: the page, and the API that it speaks.

What a request names is a number, a hash or a name of a table, and is looked up there; no path of a request reaches the
disk. Everything that waits (for the disk, for a model) waits in a thread.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import anyio
import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from sfumato.app.studio import pages
from sfumato.app.studio.answers import NOTHING, file_name, found, limit, number, whole
from sfumato.app.studio.bodies import parse_body
from sfumato.app.studio.bounds import MOST_WAITING
from sfumato.app.studio.events import Events
from sfumato.app.studio.fitting import Fitting
from sfumato.app.studio.hello import hello
from sfumato.app.studio.models import Models
from sfumato.app.studio.reader import Reader
from sfumato.app.studio.records import NewRun, Run, State, Upload
from sfumato.app.studio.requests import Requests, RunRequest
from sfumato.app.studio.store import Store
from sfumato.app.studio.supervisor import Supervisor
from sfumato.app.studio.trainings import DatasetRequest, Taken, TrainingRequest, Trainings
from sfumato.errors import UsageError
from sfumato.files import write_bytes

MOST_PAGES = 128
"""Pages that listen at a time."""
REPORT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of a training's report, which runs no script."""


@dataclass(frozen=True)
class Parts:
    """What the routes speak to."""

    store: Store
    events: Events
    supervisor: Supervisor
    reader: Reader
    models: Models


class Api:
    """The routes."""

    def __init__(self, parts: Parts) -> None:
        self.store, self.events, self.supervisor = parts.store, parts.events, parts.supervisor
        self.reader, self.models = parts.reader, parts.models
        self.requests = Requests(self.models, Fitting(self.store.folder / "uploads", self.store.upload))
        self.trainings = Trainings(self.store)
        self._static, self._viewer = pages.static(), pages.viewer()
        self._folder = self.store.folder.resolve()
        self._uploading = asyncio.Semaphore(4)  # each may be 32 MB
        self._checks = anyio.CapacityLimiter(2)

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        return [
            Route("/", self.page),
            Route("/static/{name:path}", self.static),
            Route("/viewer/{name:path}", self.viewer),
            Route("/api/hello", self.hello),
            Route("/api/events", self.listen),
            Route("/api/uploads", self.upload, methods=["POST"]),
            Route("/api/uploads/{id}", self.uploaded),
            Route("/api/runs", self.runs),
            Route("/api/runs", self.make_pictures, methods=["POST"]),
            Route("/api/runs/{id}", self.run),
            Route("/api/runs/{id}/cancel", self.cancel, methods=["POST"]),
            Route("/api/runs/{id}/again", self.again, methods=["POST"]),
            Route("/api/trainings", self.train, methods=["POST"]),
            Route("/api/datasets", self.make_dataset, methods=["POST"]),
            Route("/api/frames/{id}", self.frames),
            Route("/api/pictures", self.pictures),
            Route("/api/pictures/{id}", self.picture),
            Route("/api/pictures/{id}", self.delete, methods=["DELETE"]),
            Route("/api/pictures/{id}/file", self.picture_file),
            Route("/api/pictures/{id}/restore", self.restore, methods=["POST"]),
            Route("/api/samples/{id}/{epoch}", self.sample),
            Route("/api/reports/{id}", self.report),
        ]

    # The page.

    async def page(self, request: Request) -> Response:
        """The page."""
        return self._static["index.html"].response(request)

    async def static(self, request: Request) -> Response:
        """A file of the page."""
        return found(self._static.get(request.path_params["name"])).response(request)

    async def viewer(self, request: Request) -> Response:
        """A module of the viewer."""
        return found(self._viewer.get(request.path_params["name"])).response(request)

    def hello(self, _: Request) -> Response:
        """What there is."""
        told = hello(self.models, self.trainings, self.supervisor.computes_on)
        return JSONResponse({**told, "trouble": self.supervisor.trouble})

    async def listen(self, request: Request) -> Response:
        """What happens, as long as the page listens."""
        if self.events.clients >= MOST_PAGES:
            raise HTTPException(503, f"{MOST_PAGES} pages are open already; close one")
        stream = self.events.subscribe(request.headers.get("last-event-id"))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    # Uploads.

    async def upload(self, request: Request) -> Response:
        """A picture that a user brings."""
        async with self._uploading:
            data = await request.body()
            name = file_name(request.query_params.get("name", ""))
            if not data:
                raise UsageError(f"cannot read the picture {name}: the file is empty")
            upload = await run_in_threadpool(self._take, data, name)
        return JSONResponse(self._upload_dict(upload), 201)

    def _take(self, data: bytes, name: str) -> Upload:
        read = self.reader.read(data, name)
        digest = hashlib.sha256(read.png).hexdigest()
        write_bytes(self.store.folder / "uploads" / f"{digest}.png", read.png)
        return self.store.add_upload(
            Upload(digest, name, read.width, read.height, read.mode, read.job, read.parameters)
        )

    def _upload_dict(self, upload: Upload) -> dict[str, Any]:
        """Its job names its models as the page does, where they are the studio's."""
        told = upload.to_dict()
        if upload.job is not None:
            larger = [{**stage, "model": self.models.called(stage["model"])} for stage in upload.job["larger"]]
            told["job"] = {**upload.job, "model": self.models.called(upload.job["model"]), "larger": larger}
        return told

    def uploaded(self, request: Request) -> Response:
        """The picture of an upload."""
        upload = found(self.store.upload(request.path_params["id"]))
        return self._png(self.store.folder / "uploads" / f"{upload.id}.png")

    # Runs.

    def runs(self, request: Request) -> Response:
        """The newest runs."""
        state = request.query_params.get("state") or None
        if state is not None and state not in get_args(State):
            raise UsageError(f"state: one of {', '.join(get_args(State))}, please")
        runs = self.store.runs(cast("State | None", state), limit(request, 50))
        return JSONResponse({"runs": [self.supervisor.describe(run) for run in runs]})

    async def make_pictures(self, request: Request) -> Response:
        """Queue pictures."""
        body = await request.body()
        return await self._queued(lambda: self._submit(self.requests.pictures(parse_body(body, RunRequest))))

    def run(self, request: Request) -> Response:
        """A run, and what it has made."""
        run = self._run(request)
        made = [shown.to_dict() for shown in self.store.pictures_of(run.id)]
        return JSONResponse({**self.supervisor.describe(run), "pictures": made})

    def cancel(self, request: Request) -> Response:
        """Give up a run."""
        run = self._run(request)
        if not self.supervisor.cancel(run.id):
            raise Taken("this run has ended already")
        return JSONResponse(self.supervisor.describe(self._run(request)))

    async def again(self, request: Request) -> Response:
        """Queue a run once more."""
        run = await run_in_threadpool(self._run, request)
        if run.kind == "training":
            return await self._queued(lambda: self._train(lambda: self.trainings.again(run)))
        return await self._queued(lambda: self._submit(self.requests.again(run)))

    async def train(self, request: Request) -> Response:
        """Queue a training."""
        body = await request.body()
        make = lambda: self.trainings.training(parse_body(body, TrainingRequest))  # noqa: E731
        return await self._queued(lambda: self._train(make))

    async def _queued(self, work: Callable[[], Run]) -> Response:
        """Queue what a request asks for, which is checked first, and that may wait for a model."""
        run = await anyio.to_thread.run_sync(work, limiter=self._checks)
        return JSONResponse(self.supervisor.describe(run), 202)

    def _train(self, make: Callable[[], NewRun]) -> Run:
        with self.trainings.lock:  # until its name is queued nobody else gets it
            return self._submit(make())

    def _submit(self, new: NewRun) -> Run:
        if self.store.queued() >= MOST_WAITING:
            raise HTTPException(429, f"{MOST_WAITING} runs wait already; let some end, or cancel them")
        return self.supervisor.submit([new])[0]

    def _run(self, request: Request) -> Run:
        return found(self.store.run(number(request)))

    # Data sets and trainings.

    async def make_dataset(self, request: Request) -> Response:
        """Uploads become a data set."""
        body = await request.body()
        made = await run_in_threadpool(lambda: self.trainings.dataset(parse_body(body, DatasetRequest)))
        self.events.publish("hello", {}, "the studio")
        return JSONResponse(made.to_dict(), 201)

    def sample(self, request: Request) -> Response:
        """A sheet of samples of a training."""
        run = self._run(request)
        file = found(self.store.samples(run.id).get(number(request, "epoch")))
        return self._png(self._home(run) / file)

    def report(self, request: Request) -> Response:
        """The report of a training, which can do nothing."""
        content = self._content(self._home(self._run(request)) / "report.html")
        return Response(content, media_type="text/html", headers={"content-security-policy": REPORT_POLICY})

    def _home(self, run: Run) -> Path:
        return self.store.folder / "runs" / str(found(run.order.get("training")))

    # Pictures.

    def frames(self, request: Request) -> Response:
        """The steps of a run as a strip."""
        run = self._run(request)
        found(run.strip)
        return self._png(self.store.folder / "frames" / f"{run.id}.png")

    def pictures(self, request: Request) -> Response:
        """The gallery."""
        before = request.query_params.get("before")
        shown, more = self.store.pictures(
            request.query_params.get("search", "")[:1000],
            None if before is None else whole(before, "before"),
            limit(request, 60),
        )
        return JSONResponse({"pictures": [each.to_dict() for each in shown], "more": more})

    def picture(self, request: Request) -> Response:
        """A picture's facts."""
        return JSONResponse(found(self.store.picture(number(request))).to_dict())

    def picture_file(self, request: Request) -> Response:
        """A picture as the file that it is, with its job."""
        shown = found(self.store.picture(number(request)))
        return self._png(self.store.folder / "pictures" / shown.file, shown.file)

    def delete(self, request: Request) -> Response:
        """Throw a picture into the bin."""
        shown = found(self.store.delete_picture(number(request)))
        self.events.publish("removed", {"picture": shown.id})
        return JSONResponse(shown.to_dict())

    def restore(self, request: Request) -> Response:
        """Fetch a picture from the bin."""
        shown = found(self.store.restore_picture(number(request)))
        self.events.publish("picture", shown.to_dict(), str(shown.id))
        return JSONResponse(shown.to_dict())

    def _png(self, path: Path, name: str | None = None) -> Response:
        headers = {} if name is None else {"content-disposition": f'inline; filename="{name}"'}
        return Response(self._content(path), media_type="image/png", headers=headers)

    def _content(self, path: Path) -> bytes:
        """A file of the studio's folder; a link that leads out of it is none."""
        try:
            if not path.resolve().is_relative_to(self._folder) or path.is_symlink():
                raise HTTPException(404, NOTHING)
            return path.read_bytes()
        except OSError as error:
            raise HTTPException(404, "this file is not there any more") from error
