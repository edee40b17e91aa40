"""A studio's server without a studio: the API of the page in memory, with pictures drawn in no time.

The page's files are the real ones, and so are the headers that bind them. What is faked is what would take a model:
pictures are drawn letters, readings and losses follow from seeds and steps.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import math
import threading
import time

from fake_pictures import DIGITS, data_url, drawn, hello, letter, noisy, png, title_of
from fake_routes import Handler, Server
from PIL import Image

METHODS = ("noised", "blur", "one-step", "iterative")
ENDED = {"done", "failed", "cancelled"}


class FakeStudio:
    """The server and all that it knows. `pace` is the seconds of a step; runs wait while `hold` is set."""

    def __init__(self, pace: float = 0.004, steps: int = 12) -> None:
        self.pace, self.steps = pace, steps
        self.hello = hello()
        self.runs: dict[int, dict] = {}
        self.orders: dict[int, dict] = {}
        self.pictures: dict[int, dict] = {}
        self.files: dict[str, bytes] = {}
        self.bin: set[int] = set()
        self.uploads: dict[str, dict] = {}
        self.asked: list[tuple[str, str, dict]] = []
        """Requests that change something: method, path, JSON."""
        self.errors: dict[str, tuple[int, str]] = {}
        """What to answer in place of doing it: "POST /api/runs" -> (422, "a line")."""
        self.hold = threading.Event()
        self.events: list[tuple[int, str, str]] = []
        self.changed = threading.Condition()
        self.ids = itertools.count(1)
        self.closing = False
        self.server = Server(("127.0.0.1", 0), type("Handler", (Handler,), {"studio": self}))
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> FakeStudio:
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        threading.Thread(target=self.work, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def publish(self, name: str, data: dict) -> None:
        """To all who listen."""
        with self.changed:
            self.events.append((len(self.events) + 1, name, json.dumps(data)))
            self.changed.notify_all()

    # What the page asks for

    def make_run(self, kind: str, title: str, order: dict, model: str, training: dict | None = None) -> dict:
        """A queued run."""
        now = time.time()
        run = {
            "id": next(self.ids), "kind": kind, "title": title, "state": "queued", "error": None, "created": now,
            "started": None, "finished": None, "done": 0, "total": self.steps, "eta": None, "ahead": 0, "attempts": 0,
            "jobs": len(order.get("jobs", [1])), "frames": None, "notes": [], "training": training, "model": model,
        }  # fmt: skip
        with self.changed:
            run["ahead"] = sum(other["state"] in {"queued", "running"} for other in self.runs.values())
            self.runs[run["id"]], self.orders[run["id"]] = run, order
            self.changed.notify_all()
        self.publish("run", run)
        return run

    def submit(self, request: dict) -> dict:
        """Jobs of a request, complete."""
        job = {"model": "digits", "seed": 0, "sampler": "ddpm", "spacing": "strided", **request["job"]}
        model = next(each for each in self.hello["models"] if each["name"] == job["model"])
        job = {"steps": model["steps"], "guidance": model["guidance"], **job}
        for key in ("image", "mask", "reference"):
            if isinstance(job.get(key), dict) and "upload" in job[key]:
                upload = self.uploads[job[key]["upload"]]
                content = base64.b64encode(self.files[upload["url"]]).decode()
                job[key] = {"name": upload["name"], "png": content, "made_by": None}
        jobs = [{**job, "seed": job["seed"] + k} for k in range(request.get("count", 1))]
        if "times" in job:
            jobs = [
                {**{k: v for k, v in each.items() if k != "times"}, "t": t, "method": method}
                for each in jobs for t in job["times"] for method in METHODS
            ]  # fmt: skip
        if "begins" in job:
            jobs = [
                {**{k: v for k, v in each.items() if k != "begins"}, "begin": b} for each in jobs for b in job["begins"]
            ]
        return self.make_run(
            "pictures", title_of(job), {"jobs": jobs, "keep": request.get("keep", "last")}, job["model"]
        )

    def train(self, request: dict) -> dict:
        """A training in the queue."""
        run = self.make_run("training", f"{request['recipe']} on {request['data']}", request, request["recipe"])
        return run

    def upload(self, content: bytes, name: str) -> dict:
        """A row of an upload; ValueError for what is no picture."""
        try:
            image = Image.open(io.BytesIO(content))
            image.load()
        except OSError as error:
            raise ValueError(f"{name} is no PNG, JPEG, WebP or GIF picture") from error
        clean = png(image.convert("L" if image.mode in {"1", "L"} else "RGB"))
        ident = hashlib.sha256(clean).hexdigest()
        job = json.loads(image.info["sfumato"])["job"] if "sfumato" in image.info else None
        self.files[f"/api/uploads/{ident}"] = clean
        self.uploads[ident] = {
            "id": ident, "url": f"/api/uploads/{ident}", "name": name, "width": image.width, "height": image.height,
            "mode": image.mode, "job": job, "parameters": image.info.get("parameters"),
        }  # fmt: skip
        return self.uploads[ident]

    def listed(self, query: dict) -> dict:
        """Pictures of the gallery, newest first."""
        words = query.get("search", [""])[0].lower().split()
        before, limit = int(query.get("before", [10**9])[0]), int(query.get("limit", [60])[0])
        rows = [p for i, p in sorted(self.pictures.items(), reverse=True) if i not in self.bin and i < before]
        rows = [
            p for p in rows if all(w in f"{p['title']} {p['kind']} {p['model']} {p['seed']}".lower() for w in words)
        ]
        for key in ("kind", "model"):
            if key in query:
                rows = [p for p in rows if p[key] == query[key][0]]
        return {"pictures": rows[:limit], "more": len(rows) > limit}

    def picture(self, run: int, job: dict) -> dict:
        """A finished picture."""
        image, readings = drawn(job)
        ident = next(self.ids)
        url = f"/api/pictures/{ident}/file"
        self.files[url] = png(image)
        shown = {
            "id": ident, "run": run, "url": url, "name": f"{job['kind']}-{ident}.png", "width": image.width,
            "height": image.height, "title": title_of(job), "kind": job["kind"], "model": job["model"],
            "created": time.time(), "seed": job["seed"], "job": job, "readings": readings,
            "command": f"sfumato {job['kind']} --seed {job['seed']}",
            "parameters": f"{title_of(job)}\nSteps: {job['steps']}, Sampler: {job['sampler']}, Seed: {job['seed']}",
        }  # fmt: skip
        self.pictures[ident] = shown
        self.publish("picture", shown)
        return shown

    # What a worker does

    def work(self) -> None:
        """One run after the other."""
        while not self.closing:
            with self.changed:
                waiting = [run for run in self.runs.values() if run["state"] == "queued"]
                if not waiting or self.hold.is_set():
                    self.changed.wait(0.05)
                    continue
                run = waiting[0]
                run.update(state="running", started=time.time(), attempts=run["attempts"] + 1, ahead=0)
            self.publish("run", run)
            (self.sample if run["kind"] == "pictures" else self.learn)(run, self.orders[run["id"]])

    def end(self, run: dict, state: str) -> None:
        """It is over."""
        run.update(state=state, finished=time.time(), eta=None)
        self.publish("run", run)

    def sample(self, run: dict, order: dict) -> None:
        """Steps, then pictures."""
        shown = [drawn(job)[0] for job in order["jobs"][:4]]
        for step in range(1, self.steps + 1):
            time.sleep(self.pace)
            if run["state"] == "cancelled":
                return
            share = 1 - step / self.steps
            x, x0 = ([data_url(noisy(image, s, step)) for image in shown] for s in (share, share / 2))
            run.update(done=step, eta=(self.steps - step) * self.pace)
            seen = {"run": run["id"], "stage": 0, "step": step, "of": self.steps, "t": round(300 * share)}
            self.publish("preview", {**seen, "x": x, "x0": x0})
        for job in order["jobs"]:
            self.picture(run["id"], job)
        if order["keep"] == "steps":
            run["frames"] = self.strip(run["id"], order["jobs"][0])
        self.end(run, "done")

    def strip(self, run: int, job: dict) -> dict:
        """The steps as one picture."""
        image, (first, count) = drawn(job)[0], (job.get("t", 290), self.steps + 1)
        times = [first * (1 - k / (count - 1)) for k in range(count)]
        bars = [math.exp(-((t / 300) ** 2) * 4) for t in times]
        board = Image.new("L", (count * image.width, 2 * image.height))
        for k, bar in enumerate(bars):
            board.paste(noisy(image, 1 - bar, k), (k * image.width, 0))
            board.paste(noisy(image, (1 - bar) / 3, k), (k * image.width, image.height))
        self.files[f"/api/frames/{run}"] = png(board)
        return {
            "url": f"/api/frames/{run}", "columns": count, "rows": 2, "width": image.width, "height": image.height,
            "levels": [{"t": t, "alpha": b**0.5, "sigma": (1 - b) ** 0.5} for t, b in zip(times, bars, strict=True)],
        }  # fmt: skip

    def learn(self, run: dict, order: dict) -> None:
        """A loss that falls, and a sheet of samples after each epoch."""
        epochs = int(order.get("settings", {}).get("epochs", 3))
        each = 20
        total = epochs * each
        state = run["training"] or {"step": 0, "curve": [], "samples": []}
        state = {**state, "run": run["id"], "of": total, "epochs": epochs, "lr": 0.001, "per_second": 512.0}
        run.update(total=total, notes=[f"{total} steps are too few"] if total < 100 else [])
        self.publish("run", run)
        for step in range(state["step"] + 1, total + 1):
            time.sleep(self.pace)
            if run["state"] == "cancelled":
                return
            loss = 0.03 + 0.9 * math.exp(-step / 9) + 0.01 * math.sin(7 * step)
            curve = [*state["curve"], [step, loss]]
            epoch = math.ceil(step / each)
            samples = state["samples"]
            if step % each == 0:
                url = f"/api/samples/{run['id']}/{epoch}"
                board = Image.new("L", (10 * 30, 2 * 30), 60)
                for k, name in enumerate(DIGITS * 2):
                    board.paste(noisy(letter(name), 0.7 / epoch, k), (30 * (k % 10) + 1, 30 * (k // 10) + 1))
                self.files[url] = png(board.resize((900, 180), Image.Resampling.NEAREST))
                samples = [*samples, {"epoch": epoch, "url": url}]
            state = {**state, "step": step, "epoch": epoch, "loss": loss, "curve": curve, "samples": samples}
            run.update(training=state, done=step, eta=(total - step) * self.pace)
            self.publish("training", state)
        name = f"run:{order['recipe']}-{run['id']}"
        run["model"] = name
        self.hello["models"].append({**self.hello["models"][0], "name": name, "title": f"Your training {name[4:]}"})
        self.publish("hello", {})
        self.end(run, "done")

    def cancel(self, run: dict) -> dict:
        """Stop it where it is."""
        if run["state"] in ENDED:
            raise PermissionError(f"this run is {run['state']} already")
        self.end(run, "cancelled")
        return run

    def again(self, run: dict) -> dict:
        """A cancelled training goes on; pictures are made again."""
        if run["kind"] == "training":
            return self.make_run("training", run["title"], self.orders[run["id"]], run["model"], run["training"])
        return self.make_run("pictures", run["title"], self.orders[run["id"]], run["model"])
