import json
import sqlite3
import subprocess
import sys
import threading

import pytest

from sfumato.app.studio.database import NAME
from sfumato.app.studio.gallery import Gallery
from sfumato.app.studio.records import Made, NewRun, Reading, Strip, Upload
from sfumato.app.studio.store import Store
from sfumato.errors import SfumatoError, UsageError


def pictures(title="a 3", model="digits", jobs=1):
    return NewRun("pictures", title, model, {"jobs": [{"kind": "generate", "seed": k} for k in range(jobs)]})


def made(run, file="a.png", **job):
    job = {"kind": "generate", "prompt": "3", "seed": 7, **job}
    reading = Reading("as it is", "3", "8", 0.25, False)
    return Made(run, file, job, "generate", str(job["prompt"]), "sfumato generate 3", "3\nSteps: 5", 28, 28, (reading,))


def shelved(store, *files, **job):
    """A run, and the files and rows of pictures that it has made."""
    (run,) = store.add_runs([pictures()])
    for file in files:
        (store.folder / "pictures" / file).write_bytes(file.encode())
    return run, [store.add_picture(made(run.id, file, **job), "digits") for file in files]


def test_the_queue_is_done_in_order_and_outlives_the_server(tmp_path):
    store = Store(tmp_path, clock=lambda: 5.0)
    first, second = store.add_runs([pictures("a 3"), pictures("a 4", jobs=3)])
    assert (first.state, first.created, first.jobs, second.jobs) == ("queued", 5.0, 1, 3)
    assert [store.ahead(first.id), store.ahead(second.id), store.queued()] == [0, 1, 2]
    store.close()

    store = Store(tmp_path, clock=lambda: 6.0)
    assert store.next_run() == first
    running = store.change(first.id, state="running", total=9)
    assert (running.started, running.total) == (6.0, 9)
    assert store.next_run() == second
    assert [run.title for run in store.runs()] == ["a 4", "a 3"]
    assert [run.id for run in store.runs("running")] == [first.id]
    strip = Strip(3, 2, 28, 28, ({"t": 9.0, "alpha": 0.0, "sigma": 1.0},))
    done = store.change(first.id, state="done", done=9, notes=("slow",), strip=strip)
    assert done == store.run(first.id)
    assert (done.finished, done.notes, done.strip, done.error) == (6.0, ("slow",), strip, None)
    assert store.ahead(second.id) == store.ahead(first.id) == 0
    assert store.last_done("digits") == done
    assert store.last_done("digits/time") is None
    assert store.run(99) is None
    store.close()


def test_a_run_as_the_page_is_told_is_json_without_its_jobs(store):
    (run,) = store.add_runs([pictures(jobs=2)])
    run = store.change(run.id, strip=Strip(3, 2, 28, 14, ({"t": 9.0, "alpha": 0.0, "sigma": 1.0},)))
    told = json.loads(json.dumps(run.to_dict(eta=1.5, ahead=2)))
    keys = "id kind title state error created started finished done total eta ahead jobs attempts frames notes"
    assert told.keys() == {*keys.split(), "training", "model"}
    assert (told["eta"], told["ahead"], told["jobs"], told["training"]) == (1.5, 2, 2, None)
    frames = {"url": f"/api/frames/{run.id}", "columns": 3, "rows": 2, "width": 28, "height": 14}
    assert told["frames"] == {**frames, "levels": [{"t": 9.0, "alpha": 0.0, "sigma": 1.0}]}


def test_what_a_killed_server_was_at_is_queued_again_and_fails_the_third_time(tmp_path):
    store = Store(tmp_path)
    run, other = store.add_runs([pictures(), pictures()])
    for attempt in (1, 2):
        store.change(run.id, state="running", done=4)
        store.close()
        store = Store(tmp_path)
        (again,) = store.recover()
        assert (again.state, again.attempts, again.done, again.started) == ("queued", attempt, 0, None)
        assert store.next_run() == again
    store.change(run.id, state="running")
    (failed,) = store.recover()
    assert (failed.state, failed.error) == ("failed", "the studio ended three times while it ran")
    assert store.next_run() == other
    assert store.recover() == []
    store.close()


def test_leftovers_of_killed_writers_are_cleared_up(store):
    left = [store.folder / at / ".a.png.12345678.part" for at in ("pictures", "frames", "uploads", "datasets")]
    for part in left:
        part.write_bytes(b"half")
    store.recover()
    assert not any(part.exists() for part in left)


def test_a_picture_made_again_is_the_same_row_and_belongs_to_both_runs(store):
    one, (shown,) = shelved(store, "a.png")
    two, (again,) = shelved(store, "a.png")
    assert again.id == shown.id
    assert (shown.run, again.run) == (one.id, two.id)
    assert [p.run for p in store.pictures_of(one.id)] == [one.id]
    assert [p.run for p in store.pictures_of(two.id)] == [two.id]
    assert [p.id for p in store.pictures()[0]] == [shown.id]
    assert store.picture(shown.id) == again
    told = json.loads(json.dumps(again.to_dict()))
    assert (told["url"], told["name"], told["seed"]) == (f"/api/pictures/{shown.id}/file", "a.png", 7)
    assert told["readings"] == [
        {"look": "as it is", "prompt": "3", "read": "8", "probability": 0.25, "right": False},
    ]
    keys = "id run url name width height title kind model created seed job command parameters readings"
    assert told.keys() == set(keys.split())


def test_the_gallery_is_searched_by_words_numbers_and_seeds(store):
    shelved(store, "a.png", prompt="a Rocket ship", seed=11)
    shelved(store, "b.png", prompt="Ölgemälde 7", seed=3)
    shelved(store, "c.png", prompt="75", seed=7)
    parts = {"parts": ["a skull", "waterfalls"], "negative": "fog", "image": {"name": "x.png", "png": "rocket"}}
    shelved(store, "d.png", prompt="hidden", seed=2**63 - 1, **parts)
    found = {
        "rocket": ["a.png"],
        "ROCK ship": ["a.png"],
        "rocket skull": [],
        "ket": [],
        "ölge": ["b.png"],
        "7": ["c.png", "b.png"],
        "seed:7": ["c.png"],
        "Seed= 11 rocket": ["a.png"],
        "water fog": ["d.png"],
        "digits generate": ["d.png", "c.png", "b.png", "a.png"],
        f"seed:{2**63 - 1}": ["d.png"],
        "9" * 5000: [],
        "%": ["d.png", "c.png", "b.png", "a.png"],
        "r_cket": [],
        "'; DROP TABLE runs": [],
        "word " * 5000: [],
        " ": ["d.png", "c.png", "b.png", "a.png"],
    }
    assert {search: [p.file for p in store.pictures(search)[0]] for search in found} == found


def test_the_gallery_comes_in_pages(store):
    _, all_ = shelved(store, *(f"{k}.png" for k in range(7)))
    seen, before, more = [], None, True
    while more:
        page, more = store.pictures(before=before, limit=3)
        seen += page
        before = page[-1].id
    assert [p.id for p in seen] == [p.id for p in reversed(all_)]
    assert store.pictures(limit=7)[1] is False


def test_pictures_are_thrown_away_and_fetched_back(store):
    _, (shown, other) = shelved(store, "a.png", "b.png")
    there, gone = store.folder / "pictures" / "a.png", store.folder / "bin" / "a.png"
    assert store.delete_picture(shown.id) == shown
    assert (there.exists(), gone.read_bytes()) == (False, b"a.png")
    assert [p.id for p in store.pictures()[0]] == [other.id]
    assert store.picture(shown.id) is None
    assert store.delete_picture(shown.id) is None
    assert store.restore_picture(shown.id) == shown
    assert (there.read_bytes(), gone.exists()) == (b"a.png", False)
    assert store.restore_picture(shown.id) is None
    assert store.picture(shown.id) == shown
    store.delete_picture(shown.id)
    assert [p.id for p in shelved(store, "a.png")[1]] == [shown.id]  # made again: it is out of the bin
    assert store.picture(shown.id) is not None


def test_a_picture_that_cannot_be_moved_stays(store):
    _, (shown,) = shelved(store, "a.png")
    (store.folder / "bin").rmdir()
    (store.folder / "bin").touch()
    with pytest.raises(SfumatoError, match=r"cannot write .*a.png: Not a directory"):
        store.delete_picture(shown.id)
    assert store.picture(shown.id) == shown


@pytest.mark.parametrize("moved", ["to the bin", "back"])
def test_a_server_killed_between_file_and_row_leaves_no_doubt(store, monkeypatch, moved):
    _, (shown,) = shelved(store, "a.png")
    if moved == "back":
        store.delete_picture(shown.id)
    source, target = ("pictures", "bin") if moved == "to the bin" else ("bin", "pictures")
    (store.folder / source / "a.png").rename(store.folder / target / "a.png")
    store.recover()
    assert (store.picture(shown.id) is None) == (moved == "to the bin")


def test_uploads_and_data_sets(store):
    upload = Upload("ab" * 32, "cat.png", 3, 4, "RGB", {"kind": "generate"}, "Steps: 3")
    assert store.add_upload(upload) == upload
    assert store.add_upload(Upload(upload.id, "other.png", 3, 4, "RGB")) == upload
    assert store.upload(upload.id) == upload
    assert store.upload("no") is None
    assert upload.to_dict()["url"] == f"/api/uploads/{upload.id}"

    mine = store.add_dataset("mine", 12, ["a", "b"])
    assert store.datasets() == [mine]
    assert store.dataset(mine.id) == mine
    assert mine.to_dict() == {"id": mine.id, "name": "mine", "count": 12, "labels": ["a", "b"]}
    with pytest.raises(UsageError, match="a data set 'mine' already"):
        store.add_dataset("mine", 1, [])
    assert store.dataset(99) is None


def test_the_samples_of_a_training_are_told_with_it(store):
    (run,) = store.add_runs([NewRun("training", "class", "run:class", {"recipe": {}, "training": "class"})])
    store.add_sample(run.id, 2, "samples/epoch-002.png")
    store.add_sample(run.id, 1, "samples/epoch-001.png")
    store.add_sample(run.id, 1, "samples/epoch-001.png")
    assert store.samples(run.id) == {1: "samples/epoch-001.png", 2: "samples/epoch-002.png"}
    run = store.run(run.id)
    assert run.training_dict() is None  # nothing is known of it but its samples
    run = store.change(run.id, training={"step": 3, "of": 9, "curve": [[1, 0.5]]})
    assert run.training_dict() == {
        **{"run": run.id, "step": 3, "of": 9, "curve": [[1, 0.5]]},
        "samples": [{"epoch": k, "url": f"/api/samples/{run.id}/{k}"} for k in (1, 2)],
    }
    assert run.to_dict()["training"] == run.training_dict()


def test_two_servers_never_share_a_folder(tmp_path, store):
    with pytest.raises(UsageError, match=r"another studio uses .*; stop it, or choose another folder with --out"):
        Store(store.folder)
    code = "import sys; from pathlib import Path; from sfumato.app.studio.store import Store; Store(Path(sys.argv[1]))"
    ended = subprocess.run([sys.executable, "-c", code, store.folder], capture_output=True, text=True, check=False)
    assert "UsageError: another studio uses" in ended.stderr
    store.close()
    Store(store.folder).close()


def test_a_later_schema_is_refused_and_left_as_it_is(tmp_path):
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(UsageError, match=r"a later sfumato \(schema 99, this one knows 1\)"):
        Store(tmp_path)
    assert (tmp_path / NAME).read_bytes() == before


@pytest.mark.parametrize("harm", ["garbage", "torn", "another program's"])
def test_a_damaged_file_is_refused_in_one_line_and_left_as_it_is(tmp_path, harm):
    path = tmp_path / NAME
    if harm == "another program's":
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE cats (name TEXT)")
        connection.close()
    else:
        store = Store(tmp_path)
        store.add_runs([pictures(title="x" * 2000)] * 30)
        store.close()
        data = path.read_bytes()
        path.write_bytes(b"nonsense" * 1000 if harm == "garbage" else data[: len(data) // 2 + 100])
    before = path.read_bytes()
    with pytest.raises(SfumatoError, match=r"is damaged \(.*\); pictures and trainings beside it are whole") as told:
        Store(tmp_path)
    assert "\n" not in str(told.value)
    assert path.read_bytes() == before
    path.rename(tmp_path / "aside")
    Store(tmp_path).close()


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SfumatoError, match=r"cannot write .*: Not a directory|cannot write .*File exists"):
        Store(tmp_path / "file")
    (tmp_path / NAME).mkdir()
    with pytest.raises(SfumatoError, match=r"cannot use .*unable to open database file"):
        Store(tmp_path)


def test_a_write_that_fails_changes_nothing(store):
    (run,) = store.add_runs([pictures()])
    with pytest.raises(SfumatoError, match=r"cannot use .*FOREIGN KEY"):
        store.add_picture(made(99), "digits")
    assert store.pictures() == ([], False)
    assert store.runs() == [run]


def test_many_threads_may_use_it_at_once(store):
    def add():
        for _ in range(10):
            shelved(store, f"{threading.get_ident()}.png")
            store.pictures("digits")

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.runs(limit=-1)) == store.queued() == 80
    assert len(store.pictures(limit=100)[0]) == 8
    assert isinstance(store, Gallery)
