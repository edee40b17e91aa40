"""Trainings and data sets as the page asks for them."""

from pathlib import Path

import pytest
from PIL import Image
from served import line, serving

from sfumato.training.datasets import load_data


@pytest.fixture
def studio(tmp_path):
    with serving(tmp_path / "studio") as served:
        yield served


def bring(studio, labels=("cat", "dog"), each=2) -> list[dict]:
    """Pictures with labels."""
    return [
        {"upload": studio.upload(Image.new("L", (30, 30), 40 * k + i), f"{label}.png"), "label": label}
        for k, label in enumerate(labels, start=1)
        for i in range(each)
    ]


def test_a_training_is_queued_with_its_recipe_resolved(studio):
    settings = {"epochs": 2, "width": 8, "lr": 1e-3, "sample_epochs": [1, 2]}
    answer = studio.post("/api/trainings", {"recipe": "class", "data": "typeset", "settings": settings})
    run = answer.json()
    assert answer.status_code == 202
    assert (run["kind"], run["title"], run["model"]) == ("training", "class on typeset", "run:class-1")
    order = studio.parts.store.run(run["id"]).order
    assert order["training"] == "class-1"
    assert order["recipe"].items() >= {"name": "class", "epochs": 2, "width": 8, "data": "typeset"}.items()
    second = studio.post("/api/trainings", {"recipe": "class", "data": "typeset"}).json()
    assert second["model"] == "run:class-2", "a name that waits is taken"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"recipe": "nothing", "data": "typeset"}, "unknown recipe 'nothing'; choose one of class"),
        ({"recipe": "/etc/passwd.toml", "data": "typeset"}, "unknown recipe"),
        ({"recipe": "text", "data": "typeset"}, "unknown recipe 'text'"),
        ({"recipe": "class", "data": "/etc"}, "unknown data '/etc'"),
        ({"recipe": "class", "data": "../.."}, "unknown data"),
        ({"recipe": "class", "data": ""}, "unknown data"),
        ({"recipe": "class", "data": "set:1"}, "there is no data set 'set:1'"),
        ({"recipe": "class", "data": "set:../../x"}, "there is no data set"),
        ({"recipe": "class", "data": "set:" + "9" * 30}, "there is no data set"),
        ({"recipe": "class", "data": "typeset", "settings": {"data": "/etc"}}, "the data of a recipe cannot be set"),
        ({"recipe": "class", "data": "typeset", "settings": {"name": "../x"}}, "the name of a recipe cannot be set"),
        ({"recipe": "class", "data": "typeset", "settings": {"epoch": 2}}, "did you mean 'epochs'?"),
        ({"recipe": "class", "data": "typeset", "settings": {"epochs": 0}}, "epochs"),
        ({"recipe": "class", "data": "typeset", "settings": {"epochs": "x"}}, "epochs"),
        ({"recipe": "class", "data": "typeset", "settings": {"width": 10**9}}, "width: 1e+09 is more than"),
        ({"recipe": "class", "data": "typeset", "settings": {"size": 30}}, "size"),
        ({"recipe": "class"}, "data"),
        ({"recipe": 5, "data": "typeset"}, "recipe"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_said_at_once(studio, body, said):
    answer = studio.post("/api/trainings", body)
    assert answer.status_code == 422, answer.text
    assert said in line(answer)


def test_nothing_is_downloaded(studio, monkeypatch, tmp_path):
    monkeypatch.setenv("SFUMATO_DATA", str(tmp_path / "none"))
    monkeypatch.setattr("sfumato.training.datasets.stored.cache_folder", lambda _: tmp_path / "none")
    answer = studio.post("/api/trainings", {"recipe": "class", "data": "cifar10"})
    assert line(answer) == "cifar10 is not on this machine; get it with: sfumato data pull cifar10"


def test_uploads_become_a_data_set_that_can_be_trained_on(studio):
    answer = studio.post("/api/datasets", {"name": "my animals", "pictures": bring(studio)})
    assert answer.status_code == 201, answer.text
    assert answer.json() == {"id": 1, "name": "my animals", "count": 4, "labels": ["cat", "dog"]}
    data = load_data(str(studio.folder / "datasets" / "my animals"))
    assert (data.classes, len(data.images)) == (("cat", "dog"), 4)
    told = studio.get("/api/hello").json()["data"]
    assert {"name": "set:1", "about": "my animals: 4 pictures, 2 labels"} in told
    run = studio.post("/api/trainings", {"recipe": "class", "data": "set:1"}).json()
    assert run["title"] == "class on my animals"
    assert studio.parts.store.run(run["id"]).order["recipe"]["data"] == str(studio.folder / "datasets" / "my animals")


def test_without_labels_there_are_no_classes(studio):
    pictures = [{"upload": each["upload"], "label": None} for each in bring(studio)]
    assert studio.post("/api/datasets", {"name": "plain", "pictures": pictures}).json()["labels"] == []
    answer = studio.post("/api/trainings", {"recipe": "class", "data": "set:1"})
    assert "needs classes" in line(answer)
    assert studio.post("/api/trainings", {"recipe": "time", "data": "set:1"}).status_code == 202


def test_a_name_is_taken_once(studio):
    pictures = bring(studio)
    assert studio.post("/api/datasets", {"name": "Mine", "pictures": pictures}).status_code == 201
    answer = studio.post("/api/datasets", {"name": "mine", "pictures": pictures})
    assert (answer.status_code, "there is a data set 'mine' already" in line(answer)) == (409, True)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/etc", "a/b", "a\\b", ".hidden", "con", "NUL.txt", "train",
     "a\tb", "x" * 41, "a\u202eb", "-rf", "a.", "~"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["name", "label"])
def test_a_name_that_is_no_folder_is_refused(studio, name, where):
    pictures = bring(studio, ("cat",), 1)
    body = {"name": "a", "pictures": pictures}
    if where == "name":
        body["name"] = name
    else:
        pictures[0]["label"] = name
    answer = studio.post("/api/datasets", body)
    assert answer.status_code == 422
    assert "cannot be used" in line(answer)
    assert list((studio.folder / "datasets").iterdir()) == []


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        ([], "pictures"),
        ([{"upload": "0" * 64, "label": "cat"}], "bring it again"),
        ([{"upload": "../../x", "label": "cat"}], "upload"),
        ([{"upload": None, "label": "cat"}], "upload"),
        ([{"upload": "0" * 64, "label": "cat"}, {"upload": "0" * 64}], "some pictures have a label and others none"),
        ([{"upload": "0" * 64, "label": "cat"}, {"upload": "0" * 64, "label": "Cat"}], "capital letters"),
        ([{"upload": "0" * 64, "label": 7}], "label"),
    ],
)
def test_a_data_set_that_makes_no_sense_is_refused(studio, pictures, said):
    answer = studio.post("/api/datasets", {"name": "mine", "pictures": pictures})
    assert answer.status_code == 422
    assert said in line(answer)
    assert list((studio.folder / "datasets").iterdir()) == []


def test_a_data_set_that_cannot_be_written_leaves_nothing(studio):
    pictures = bring(studio)
    (studio.folder / "uploads" / f"{pictures[-1]['upload']}.png").unlink()
    answer = studio.post("/api/datasets", {"name": "mine", "pictures": pictures})
    assert answer.status_code == 503
    assert list((studio.folder / "datasets").iterdir()) == []
    assert studio.parts.store.datasets() == []


def test_a_training_again_goes_on_unless_it_is_done(studio):
    first = studio.post("/api/trainings", {"recipe": "class", "data": "typeset", "settings": {"epochs": 3}}).json()
    waiting = studio.post(f"/api/runs/{first['id']}/again")
    assert (waiting.status_code, line(waiting)) == (409, "this training is being done already")
    studio.post(f"/api/runs/{first['id']}/cancel")
    again = studio.post(f"/api/runs/{first['id']}/again").json()
    assert (again["model"], again["state"]) == ("run:class-1", "queued"), "from where it is"
    studio.parts.store.change(again["id"], state="done")
    (studio.folder / "runs" / "class-1").mkdir()
    anew = studio.post(f"/api/runs/{again['id']}/again").json()
    assert anew["model"] == "run:class-2", "from the beginning"
    assert studio.parts.store.run(anew["id"]).order["recipe"]["epochs"] == 3


def test_a_training_whose_pictures_are_gone_is_not_made_again(studio):
    studio.post("/api/datasets", {"name": "mine", "pictures": bring(studio)})
    run = studio.post("/api/trainings", {"recipe": "class", "data": "set:1"}).json()
    studio.post(f"/api/runs/{run['id']}/cancel")
    (studio.folder / "datasets" / "mine").rename(Path(studio.folder) / "datasets" / "other")
    answer = studio.post(f"/api/runs/{run['id']}/again")
    assert (answer.status_code, line(answer)) == (422, "the pictures that it was trained on are not there any more")
