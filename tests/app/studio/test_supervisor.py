import logging
import multiprocessing
import threading
import time

import pytest

from sfumato.app.studio import running
from sfumato.app.studio import supervisor as module
from sfumato.app.studio.child import Gone, Process
from sfumato.app.studio.pace import Pace
from sfumato.app.studio.records import (
    Began,
    Cancel,
    Ended,
    Kept,
    Made,
    NewRun,
    Noted,
    Order,
    Ready,
    Run,
    Sampled,
    Stepped,
    Strip,
    Trained,
)
from sfumato.app.studio.supervisor import Supervisor
from sfumato.errors import SfumatoError


class FakeChild:
    """A worker that says what a test says."""

    heard = Process.heard

    def __init__(self):
        self.connection, self._theirs = multiprocessing.Pipe()
        self._closing = threading.Lock()  # the supervisor's thread hears of an end before the test's has closed
        self.told = []
        self.alive = True

    def tell(self, message):
        if not self.alive:
            raise Gone
        self.told.append(message)

    def says(self, *messages):
        for message in messages:
            self._theirs.send(message)

    def dies(self):
        self.alive = False
        with self._closing:
            self._theirs.close()

    def end(self):
        self.dies()
        self.connection.close()
        return "by SIGKILL"


class Studio:
    """A supervisor whose workers are fakes."""

    def __init__(self, store, events):
        self.store, self.events, self.children, self.willing = store, events, [], True
        self.supervisor = Supervisor(store, events, store.folder, hire=self._hire)

    def _hire(self, folder, device):
        assert (folder, device) == (self.store.folder, "auto")
        self.children.append(FakeChild())
        if self.willing:
            self.children[-1].says(Ready(0, "cpu"))
        else:
            self.children[-1].dies()
        return self.children[-1]

    @property
    def child(self):
        return self.children[-1]

    def submit(self, n=1, kind="pictures", jobs=1):
        order = {"recipe": {"name": "class"}, "training": "mine"} if kind == "training" else {"jobs": [{}] * jobs}
        return [run.id for run in self.supervisor.submit([NewRun(kind, "t", "digits", order)] * n)]

    def until(self, condition, seconds=5.0):
        """Wait for something to be the case."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not come to be"
            time.sleep(0.005)

    def at(self, run):
        """Wait until the worker was told to do a run."""
        self.until(lambda: any(isinstance(m, Order) and m.run == run for m in self.child.told))

    def ends(self, run, state="done", **facts):
        self.at(run)
        self.child.says(Ended(run, state, **facts))
        self.until(lambda: self.store.run(run).state not in {"queued", "running"})
        return self.store.run(run)

    def told(self, name):
        """What the ring holds of this name."""
        return [event.text.decode() for event in self.events._ring.values() if event.name == name]


@pytest.fixture
def idle(store, events, monkeypatch):
    """Not started yet."""
    monkeypatch.setattr(running, "WRITE_EVERY", 0.05)
    monkeypatch.setattr(module, "FAREWELL", 0.5)
    studio = Studio(store, events)
    yield studio
    studio.supervisor.stop()


@pytest.fixture
def studio(idle):
    idle.supervisor.start()
    idle.until(lambda: idle.supervisor.computes_on == "cpu")
    return idle


def trained(run, step, of=9):
    return Trained(run, step, of, 1, 3, 0.5, 1e-3, 100.0, ((1, 0.9), (step, 0.5)))


def test_runs_are_done_one_at_a_time_in_order(studio):
    first, second = studio.submit(2)
    studio.at(first)
    assert studio.store.run(first).state == "running"
    assert studio.store.run(second).state == "queued"
    assert [m.run for m in studio.child.told] == [first]
    assert studio.child.told[0] == Order(first, studio.store.folder, ({},))
    studio.ends(first)
    assert studio.ends(second).state == "done"
    assert [m.run for m in studio.child.told] == [first, second]


def test_messages_become_rows_and_events(studio):
    (run,) = studio.submit(jobs=2)
    studio.at(run)
    strip = Strip(2, 2, 28, 28, ({"t": 1.0, "alpha": 0.6, "sigma": 0.8},) * 2)
    facts = ("generate", "3", "sfumato generate 3", "3", 28, 28, ())
    studio.child.says(
        Began(run, 4, ("one",)),
        Noted(run, "two"),
        Stepped(run, 2, 0, 2, 4, 150.0, (b"x",), (b"y",)),
        Stepped(999, 4, 0, 4, 4, 0.0, (b"of nobody",), ()),
        Made(run, "a.png", {"seed": 3}, *facts),
        Kept(run, strip),
        Stepped(run, 4, 0, 4, 4, 0.0),
    )
    studio.until(lambda: studio.told("picture"))
    studio.until(lambda: studio.store.run(run).strip is not None)
    now = studio.store.run(run)
    assert (now.total, now.notes, now.strip) == (4, ("one", "two"), strip)
    assert [(p.file, p.seed, p.model) for p in studio.store.pictures_of(run)] == [("a.png", 3, "digits")]
    (preview,) = studio.told("preview")
    assert '"stage":0,"step":2,"of":4,"t":150.0,"x":["data:image/png;base64,eA=="]' in preview
    studio.until(lambda: studio.store.run(run).done == 4)
    assert studio.ends(run).done == 4
    studio.until(lambda: '"state":"done"' in studio.told("run")[-1])
    assert studio.told("preview") == []  # nobody who comes now needs it


def test_a_failure_is_told_in_its_line(studio):
    first, second = studio.submit(2)
    run = studio.ends(first, "failed", error="no such view")
    assert (run.state, run.error) == ("failed", "no such view")
    assert studio.ends(second).state == "done"


def test_progress_is_not_written_at_every_step(studio, monkeypatch):
    monkeypatch.setattr(running, "WRITE_EVERY", 0.3)
    writes = []
    change = studio.store.change
    monkeypatch.setattr(studio.store, "change", lambda *a, **k: (writes.append(k), change(*a, **k))[1])
    (run,) = studio.submit()
    studio.at(run)
    studio.child.says(*(Stepped(run, k + 1, 0, k + 1, 500, 1.0) for k in range(500)))
    done = studio.ends(run)
    assert done.done == 500
    assert len(writes) < 10


def test_a_queued_run_is_cancelled_at_once(studio):
    first, second, third = studio.submit(3)
    studio.at(first)
    assert studio.supervisor.describe(studio.store.run(third))["ahead"] == 2
    assert studio.supervisor.cancel(second) is True
    assert studio.store.run(second).state == "cancelled"
    assert studio.supervisor.describe(studio.store.run(third))["ahead"] == 1
    assert studio.supervisor.cancel(second) is False
    assert studio.supervisor.cancel(999) is False
    studio.ends(first)
    studio.ends(third)
    assert second not in [m.run for m in studio.child.told]


def test_a_running_run_is_cancelled_by_the_worker(studio):
    (run,) = studio.submit()
    studio.at(run)
    assert studio.supervisor.cancel(run) is True
    studio.until(lambda: Cancel(run) in studio.child.told)
    assert studio.ends(run, "cancelled").state == "cancelled"
    assert len(studio.children) == 1


def test_a_worker_that_does_not_listen_is_ended(studio, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    first, second = studio.submit(2)
    studio.at(first)
    studio.supervisor.cancel(first)
    studio.until(lambda: studio.store.run(first).state == "cancelled")
    assert not studio.children[0].alive
    assert studio.ends(second).state == "done"
    assert studio.store.run(first).attempts == 0


def test_a_run_that_ends_the_worker_is_tried_three_times(studio):
    first, second = studio.submit(2)
    for attempt in range(3):
        studio.until(lambda: len(studio.children) == attempt + 1)  # noqa: B023
        studio.at(first)
        assert studio.store.run(first).attempts == attempt
        studio.child.dies()
    studio.until(lambda: studio.store.run(first).state == "failed")
    assert studio.store.run(first).error == (
        "it ended the worker three times, the last time by SIGKILL, as a system does that is short of memory"
    )
    studio.until(lambda: len(studio.children) == 4)
    assert studio.ends(second).state == "done"


def test_a_training_that_gets_further_may_be_interrupted_for_ever(studio):
    (run,) = studio.submit(kind="training")
    for step in range(1, 6):
        studio.until(lambda: len(studio.children) == step)  # noqa: B023
        studio.at(run)
        assert studio.child.told[0].training == "mine"
        studio.child.says(trained(run, step))
        studio.until(lambda: f'"step":{step}' in str(studio.told("training")))  # noqa: B023
        studio.child.dies()
    studio.until(lambda: len(studio.children) == 6)
    studio.at(run)
    assert studio.store.run(run).attempts == 1
    for attempt in range(2):  # and one that does not is given up as all others are
        studio.child.dies()
        if attempt == 0:
            studio.until(lambda: len(studio.children) == 7)
            studio.at(run)
    studio.until(lambda: studio.store.run(run).state == "failed")


def test_a_training_tells_its_curve_and_samples(studio):
    (run,) = studio.submit(kind="training")
    studio.at(run)
    studio.child.says(Began(run, 9, ()), trained(run, 4), Sampled(run, 1, "samples/epoch-001.png"), trained(run, 9))
    studio.until(lambda: '"step":9' in str(studio.told("training")))
    ended = studio.ends(run)
    training = ended.training_dict()
    assert training["samples"] == [{"epoch": 1, "url": f"/api/samples/{run}/1"}]
    assert (training["step"], training["of"], training["curve"], ended.done) == (9, 9, [[1, 0.9], [9, 0.5]], 9)
    assert studio.told("hello")  # there is another model


def test_a_worker_that_cannot_start_is_started_ever_more_rarely(idle, monkeypatch, caplog):
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.01, 0.3))
    idle.willing = False
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, "sfumato.studio"):
        idle.supervisor.start()
        (run,) = idle.submit()
        idle.until(lambda: len(idle.children) == 4)
    assert time.monotonic() - began > 0.5
    assert "as soon as it was started; its log is" in idle.supervisor.trouble
    assert idle.supervisor.trouble in caplog.text
    idle.willing = True
    assert idle.ends(run).state == "done"
    assert idle.supervisor.trouble is None
    assert idle.store.run(run).attempts == 0


def test_a_stop_queues_what_was_running(studio):
    pictures, waiting = studio.submit(2)
    studio.at(pictures)
    stopping = threading.Thread(target=studio.supervisor.stop)
    stopping.start()
    studio.until(lambda: Cancel(pictures) in studio.child.told)
    studio.child.says(Stepped(pictures, 3, 0, 3, 9, 1.0), Ended(pictures, "cancelled"))
    stopping.join()
    assert [studio.store.run(run).state for run in (pictures, waiting)] == ["queued"] * 2
    assert (studio.store.run(pictures).attempts, studio.store.run(pictures).done) == (0, 0)
    assert not studio.child.alive
    studio.supervisor.stop()  # and once more changes nothing
    studio.supervisor.wake()


def test_a_stop_does_not_wait_for_ever(studio, monkeypatch):
    monkeypatch.setattr(module, "FAREWELL", 0.2)
    (run,) = studio.submit()
    studio.at(run)
    studio.supervisor.stop()
    assert (studio.store.run(run).state, studio.store.run(run).attempts) == ("queued", 0)


def test_a_run_that_a_user_gave_up_stays_so_when_the_studio_stops(studio, monkeypatch):
    monkeypatch.setattr(module, "FAREWELL", 0.2)
    (run,) = studio.submit()
    studio.at(run)
    studio.supervisor.cancel(run)
    studio.supervisor.stop()
    assert studio.store.run(run).state == "cancelled"


@pytest.mark.parametrize("error", [SfumatoError("no room on the disk"), ZeroDivisionError("a bug")])
def test_a_store_that_cannot_be_written_for_a_while_loses_nothing(studio, monkeypatch, caplog, error):
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.05))
    (run,) = studio.submit()
    studio.at(run)
    add, failures = studio.store.add_picture, [error]

    def flaky(*arguments):
        if failures:
            raise failures.pop()
        return add(*arguments)

    monkeypatch.setattr(studio.store, "add_picture", flaky)
    made = Made(run, "a.png", {"seed": 3}, "generate", "3", "sfumato generate 3", "3", 28, 28, ())
    with caplog.at_level(logging.ERROR, "sfumato.studio"):
        studio.child.says(made, Ended(run, "done"))
        studio.until(lambda: len(studio.children) == 2)
    assert str(error) in caplog.text
    studio.at(run)
    studio.child.says(made)
    ended = studio.ends(run)
    assert (ended.state, ended.attempts) == ("done", 1)
    assert [p.file for p in studio.store.pictures_of(run)] == ["a.png"]
    assert studio.supervisor.trouble is None


def test_a_store_that_fails_again_and_again_ends_the_run_with_its_reason(studio, monkeypatch):
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.01))

    def broken(*_):
        raise SfumatoError("no room on the disk")

    monkeypatch.setattr(studio.store, "add_picture", broken)
    (run,) = studio.submit()
    for attempt in range(3):
        studio.until(lambda: len(studio.children) == attempt + 1)  # noqa: B023
        studio.at(run)
        studio.child.says(Made(run, "a.png", {"seed": 3}, "generate", "3", "sfumato generate 3", "3", 28, 28, ()))
    studio.until(lambda: studio.store.run(run).state == "failed")
    assert studio.store.run(run).error == "the studio could not go on, three times: no room on the disk"


def test_a_worker_that_hangs_while_it_starts_is_replaced(idle, monkeypatch):
    monkeypatch.setattr(module, "START", 0.1)
    monkeypatch.setattr(module, "PAUSES", (0.0,))
    monkeypatch.setattr(FakeChild, "says", lambda *_: None)
    idle.supervisor.start()
    idle.until(lambda: len(idle.children) == 2)
    assert not idle.children[0].alive


def test_the_time_that_is_left_follows_from_the_steps_after_the_first():
    now = 100.0
    run = Run(2, "pictures", "t", "running", "digits", 0.0, {"jobs": [{}] * 4})
    earlier = Run(1, "pictures", "t", "done", "digits", 0.0, {"jobs": [{}] * 2}, 10.0, 30.0, None, 10, 10)
    pace = Pace(run, earlier, lambda: now)
    assert pace.left() is None  # the steps are not counted yet
    pace.total = 30
    assert pace.left() == 120.0  # a step of a picture took one second, there are 30 of 4
    now = 110.0
    assert pace.left() == 110.0
    pace.step(1)  # with all that had to be loaded
    assert pace.left() == 110.0
    now = 112.0
    pace.step(2)
    assert pace.left() == 56.0
    now = 113.0
    assert pace.left() == 55.0
    now = 114.0
    pace.step(4)
    assert pace.left() == pytest.approx(26 * 4 / 3)
    now = 1000.0
    assert pace.left() == 0.0


def test_nobody_knows_the_time_that_is_left_of_the_first_run_of_a_model():
    run = Run(2, "training", "t", "running", "run:x", 0.0, {})
    pace = Pace(run, None, lambda: 0.0)
    pace.total = 30
    assert pace.left() is None
    pace.step(11)
    assert pace.left() is None


def test_a_training_that_goes_on_is_measured_from_where_it_begins():
    now = 0.0
    pace = Pace(Run(2, "training", "t", "running", "run:x", 0.0, {}), None, lambda: now)
    pace.total = 100
    pace.step(50)
    now = 10.0
    pace.step(60)
    assert pace.left() == 40.0


def test_a_run_is_described_as_fresh_as_can_be(studio):
    (run,) = studio.submit()
    studio.at(run)
    studio.child.says(Began(run, 1000, ()), Stepped(run, 1, 0, 1, 1000, 9.0))
    time.sleep(0.02)
    studio.child.says(Stepped(run, 500, 0, 500, 1000, 9.0))
    studio.until(lambda: studio.supervisor.describe(studio.store.run(run))["done"] == 500)
    assert studio.supervisor.describe(studio.store.run(run))["eta"] is not None
    studio.ends(run)
    told = studio.supervisor.describe(studio.store.run(run))
    assert (told["state"], told["eta"], told["total"]) == ("done", None, 1000)
