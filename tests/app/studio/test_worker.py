"""The worker as a process: killed, cancelled, left by its parent. To start one takes seconds: most tests share it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from sfumato.app.jobs import parse_job
from sfumato.app.studio.events import Events
from sfumato.app.studio.records import Ended, NewRun, Order, Stepped
from sfumato.app.studio.store import Store
from sfumato.app.studio.supervisor import Supervisor
from sfumato.app.studio.worker import SHORTAGE, carry_out, explained
from sfumato.errors import SfumatoError
from sfumato.training.recipe import load_recipe

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes as Unix does")


def until(condition, seconds=300.0):
    """Wait for something to be the case; what it is then."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)
    return value


def jobs(n=1, **fields):
    data = {"kind": "generate", "model": "digits", "prompt": "3", "steps": 20, "guidance": 2.0, **fields}
    return [parse_job({**data, "seed": k}).model_dump(mode="json") for k in range(n)]


class Studio:
    """A store with a supervisor and its worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open()

    def open(self):
        self.store = Store(self.folder)
        self.supervisor = Supervisor(self.store, Events(), self.folder, "cpu")
        self.supervisor.start()

    def submit(self, order, kind="pictures"):
        return self.supervisor.submit([NewRun(kind, "t", "digits", order)])[0].id

    def ended(self, run):
        """The run when it has ended."""
        return until(lambda: (found := self.store.run(run)).state not in {"queued", "running"} and found)

    def walking(self, run):
        """Wait until a run has done a step."""
        until(lambda: self.supervisor.describe(self.store.run(run))["done"] > 0)

    @property
    def pid(self) -> int:
        return until(lambda: self.supervisor._ready and self.supervisor._child).pid

    def close(self):
        self.supervisor.stop()
        self.store.close()


SERVER = """
import json, sys, time
from pathlib import Path
from sfumato.app.studio.events import Events
from sfumato.app.studio.records import NewRun
from sfumato.app.studio.store import Store
from sfumato.app.studio.supervisor import Supervisor

if __name__ == "__main__":
    folder, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
    store = Store(folder)
    supervisor = Supervisor(store, Events(), folder, "cpu")
    supervisor.submit([NewRun("pictures", "t", "digits", {"jobs": [job]}) for job in jobs])
    supervisor.start()
    while not supervisor.describe(store.runs()[-1])["done"]:
        time.sleep(0.01)
    print(supervisor._child.pid, flush=True)  # in the middle of the first run
    time.sleep(1000)
"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio whose server was killed in the middle of the first of three runs, and its worker with it."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.py").write_text(SERVER)
    command = [sys.executable, folder / "server.py", folder / "studio", json.dumps(jobs(3, steps=30))]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        worker = int(server.stdout.readline())
        assert alive(worker)
    finally:
        server.kill()
        server.communicate()
    until(lambda: not alive(worker))
    opened = Studio(folder / "studio")
    yield opened
    opened.close()


@pytest.fixture
def recipe(tmp_path):
    """A tiny training on two classes of pictures: one epoch of two hundred steps."""
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for k in range(100):
            Image.new("L", (28, 28), 2 * k).save(tmp_path / "data" / label / f"{k}.png")
    tiny = {"width": 4, "batch_size": 1, "epochs": 1, "sample_steps": 2}
    return load_recipe("class").with_changes({**tiny, "data": str(tmp_path / "data")}).model_dump(mode="json")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_server_that_is_killed_takes_its_worker_along_and_every_run_is_done_after_a_restart(studio):
    runs = [studio.ended(run) for run in (1, 2, 3)]
    assert [(run.state, run.attempts) for run in runs] == [("done", 1), ("done", 0), ("done", 0)]
    files = {shown.file for run in runs for shown in studio.store.pictures_of(run.id)}
    assert len(files) == 3
    assert files <= {path.name for path in (studio.folder / "pictures").iterdir()}


def test_a_worker_that_is_killed_in_the_middle_is_replaced_and_its_run_is_the_command_lines(studio, sfumato, tmp_path):
    run, pid = studio.submit({"jobs": jobs(2)}), studio.pid
    studio.walking(run)
    os.kill(pid, signal.SIGKILL)
    other = studio.submit({"jobs": jobs(1, prompt="8", steps=3)})
    ended = studio.ended(run)
    assert (ended.state, ended.attempts, ended.done) == ("done", 1, 20)
    assert studio.ended(other).state == "done"
    assert studio.pid != pid
    assert sfumato("generate", "3", "-n", 2, "--steps", 20, "-o", tmp_path).code == 0
    made = studio.store.pictures_of(run)
    assert len(made) == 2
    for shown in made:
        ours = studio.folder / "pictures" / shown.file
        assert ours.read_bytes() == (tmp_path / shown.file).read_bytes()


def test_a_running_run_is_cancelled_within_a_step_and_the_next_begins(studio):
    long, next_ = studio.submit({"jobs": jobs(16, steps=300)}), studio.submit({"jobs": jobs(steps=3)})
    studio.walking(long)
    pid = studio.pid
    assert studio.supervisor.cancel(long)
    before = studio.supervisor.describe(studio.store.run(long))["done"]
    ended = studio.ended(long)
    assert ended.state == "cancelled"
    assert ended.done <= before + 2  # what was on its way: a step is a tenth of a second here
    assert studio.ended(next_).state == "done"
    assert studio.pid == pid  # it was asked, not killed
    assert studio.store.pictures_of(long) == []


def test_what_goes_wrong_is_one_line_for_users_and_a_traceback_in_the_log(studio):
    known = studio.ended(studio.submit({"jobs": jobs(model="/no/such/model")}))
    assert (known.state, known.error.splitlines()) == ("failed", [known.error])
    assert known.error.startswith("unknown model '/no/such/model'; choose one of ")
    unforeseen = studio.ended(studio.submit({"jobs": []}))
    assert (unforeseen.state, unforeseen.error) == ("failed", "ValueError: max() arg is an empty sequence")
    log = (studio.folder / "worker.log").read_text()
    assert f"run {unforeseen.id} failed" in log
    assert "Traceback" in log
    assert "no/such/model" not in log
    assert studio.ended(studio.submit({"jobs": jobs(steps=3)})).state == "done"


def test_the_worker_gives_way_to_the_server(studio):
    behind = os.getpriority(os.PRIO_PROCESS, studio.pid) - os.getpriority(os.PRIO_PROCESS, 0)
    assert behind > 0 or os.getpriority(os.PRIO_PROCESS, 0) == 19


def test_a_ctrl_c_in_the_terminal_is_the_parents_business(studio):
    run = studio.submit({"jobs": jobs(4)})
    studio.walking(run)
    os.kill(studio.pid, signal.SIGINT)
    ended = studio.ended(run)
    assert (ended.state, ended.attempts) == ("done", 0)


def test_a_training_is_cancelled_and_goes_on(studio, recipe):
    order = {"recipe": {**recipe, "epochs": 50}, "training": "mine"}
    run = studio.submit(order, "training")
    studio.walking(run)
    assert studio.supervisor.cancel(run)
    assert studio.ended(run).state == "cancelled"
    folder = studio.folder / "runs" / "mine"
    assert len(list((folder / "checkpoints").glob("step-*.safetensors"))) == 1
    before = studio.store.run(run).training_dict()["step"]
    again = studio.submit(order, "training")
    studio.walking(again)
    assert studio.supervisor.describe(studio.store.run(again))["done"] >= before
    studio.supervisor.cancel(again)
    assert studio.ended(again).state == "cancelled"


@pytest.mark.slow
def test_a_studio_that_is_stopped_goes_on_with_all_it_was_at(studio, recipe):
    training = studio.submit({"recipe": recipe, "training": "short"}, "training")
    pictures = studio.submit({"jobs": jobs(steps=3)})
    studio.walking(training)
    pid = studio.pid
    studio.close()
    until(lambda: not alive(pid))
    store = Store(studio.folder)
    assert [(run.id, run.attempts) for run in store.queue()] == [(training, 0), (pictures, 0)]
    assert list((studio.folder / "runs" / "short" / "checkpoints").glob("step-*.safetensors"))
    store.close()

    studio.open()
    ended = studio.ended(training)
    assert (ended.state, ended.done) == ("done", 200)
    assert [sample["epoch"] for sample in ended.training_dict()["samples"]] == [1]
    assert studio.ended(pictures).state == "done"


class Clumsy:
    """A desk where something goes wrong."""

    def __init__(self, error):
        self.error, self.forgotten = error, False

    def carry_out(self, order, say, cancelled):
        say(Stepped(order.run, 1, 0, 1, 2, 0.0))
        raise self.error

    def forget(self):
        self.forgotten = True


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["Python", "GPU", "processor"],
)
def test_short_memory_is_told_with_what_to_do_and_models_are_let_go_of(error, monkeypatch):
    monkeypatch.setattr("sfumato.app.studio.orders.Desk", Clumsy)
    desk, said = Clumsy(error), []
    assert carry_out(desk, Order(3, Path()), said.append, lambda: False) == Ended(3, "failed", SHORTAGE)
    assert desk.forgotten
    assert [message.done for message in said] == [1]


def test_failures_are_one_line():
    def told(error):
        return carry_out(Clumsy(error), Order(3, Path()), lambda _: None, lambda: False).error

    assert told(SfumatoError("a line\n  and another")) == "a line and another"
    assert told(KeyError("x\ny")) == r"KeyError: 'x\ny'"
    assert told(RuntimeError("the first\nthe second")) == "RuntimeError: the first"
    assert explained(ZeroDivisionError()) == "ZeroDivisionError"
    assert explained(OSError(28, "No space left on device", "/a/b")) == "No space left on device: /a/b"
