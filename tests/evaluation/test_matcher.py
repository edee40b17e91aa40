"""The judge of text-to-image samples: its laws, its files, and how it is trained."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sfumato.core.noise import stream
from sfumato.errors import SfumatoError, UsageError
from sfumato.evaluation import matcher as bundled
from sfumato.evaluation.judges import Among
from sfumato.evaluation.matcher import Matcher, load_matcher, ranks_of, read_matcher, save_matcher
from sfumato.evaluation.matcher_data import Concepts, seen, worsen
from sfumato.evaluation.samples import Classifier, judged
from sfumato.evaluation.train_matcher import STRONGER, MatcherRecipe, MatcherTrainer, main, measure, train_matcher
from sfumato.models.matcher import MatcherConfig, MatcherNet
from sfumato.models.text import Vocabulary
from sfumato.tensors import read_tensors, write_tensors
from sfumato.training.captions import Record, all_words
from sfumato.training.datasets.captioned import Augmentation, CaptionedData

SIZE = 16
SHAPES = ("post", "beam", "block", "rails", "corner", "dot")
STYLES = {"flat art": (250, 60, 40), "3D render": (60, 120, 250), "cartoon": (30, 160, 60), "photo": (90, 60, 120)}
NAMES = ("lion", "blue rocket", "rocket ship", "house")
WORDS = Vocabulary.of(NAMES).words


def drawing(shape: str, colour: tuple[int, int, int]) -> torch.Tensor:
    """A shape on nothing, 0 … 255, red, green, blue and alpha, premultiplied."""
    alpha = torch.zeros(2 * SIZE, 2 * SIZE)
    parts = {
        "post": [(3, 29, 13, 19)],
        "beam": [(13, 19, 3, 29)],
        "block": [(5, 27, 5, 27)],
        "rails": [(3, 29, 4, 10), (3, 29, 22, 28)],
        "corner": [(3, 29, 3, 10), (22, 29, 3, 29)],
        "dot": [(12, 20, 12, 20)],
    }
    for top, bottom, left, right in parts[shape]:
        alpha[top:bottom, left:right] = 1
    return (torch.tensor([*colour, 255])[:, None, None] * alpha).byte()


def shapes(styles: tuple[str, ...] = tuple(STYLES), repeat: int = 1) -> CaptionedData:
    """Six shapes in some styles, which are colours here."""
    listed = [(shape, style) for shape in SHAPES for style in styles] * repeat
    records = tuple(
        Record((shape, f"thing like a {shape}"), ("geometry",), (style,), shape, mirror=shape != "corner")
        for shape, style in listed
    )
    vocabulary = Vocabulary.of([*all_words(records), *STYLES])
    pictures = torch.stack([drawing(shape, STYLES[style]) for shape, style in listed])
    of = torch.tensor([SHAPES.index(shape) for shape, _ in listed])
    return CaptionedData("shapes", pictures, records, vocabulary, SHAPES, of, length=12)


def tiny(data: CaptionedData) -> MatcherConfig:
    return MatcherConfig(
        data.vocabulary.words, SIZE, (16, 32), (0, 1), features=32, word_width=16, text_width=32, length=data.length
    )


def noise(rows: int) -> torch.Tensor:
    return torch.rand(rows, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def judge() -> Matcher:
    torch.manual_seed(0)
    network = MatcherNet(MatcherConfig(WORDS, SIZE, (8, 16), (0, 1), features=12))
    return Matcher(network, NAMES, {"seconds": 3})


def test_probabilities_are_a_softmax_of_similarities(judge):
    x = noise(5)
    similarities = judge.similarities(x, NAMES)
    assert (similarities.shape, similarities.dtype) == ((5, 4), torch.float32)
    cosines = judge.picture_vectors(x) @ judge.text_vectors(NAMES).T
    assert torch.allclose(similarities, judge.network.scale * cosines)
    probabilities = judge.probabilities(x, NAMES)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(5))
    assert torch.equal(probabilities.argmax(dim=1), similarities.argmax(dim=1))


def test_nothing_to_compare(judge):
    assert judge.similarities(noise(0), NAMES).shape == (0, 4)
    assert judge.similarities(noise(2), []).shape == (2, 0)
    assert judge.ranks(noise(0), torch.zeros(0, dtype=torch.int64), NAMES).shape == (0,)
    with pytest.raises(UsageError, match="no text"):
        judge.probabilities(noise(2), [])


def test_a_row_does_not_depend_on_its_neighbours(judge):
    x = noise(9)
    together = judge.similarities(x, NAMES)
    alone = torch.cat([judge.similarities(row[None], NAMES) for row in x])
    chunked = replace(judge, chunk=2).similarities(x, NAMES)
    one_text = torch.cat([judge.similarities(x, [name]) for name in NAMES], dim=1)
    for other in (alone, chunked, one_text):
        assert torch.allclose(together, other, rtol=0, atol=1e-4)


def test_float32_whatever_the_caller(judge):
    x = noise(3)
    plain = judge.similarities(x, NAMES)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(judge.similarities(x.double(), NAMES), plain)
    assert judge.similarities(x.requires_grad_(), NAMES).grad_fn is None


def test_pixels_are_clipped(judge):
    x = 4 * noise(3) - 2
    assert torch.equal(judge.similarities(x, NAMES), judge.similarities(x.clamp(0, 1), NAMES))


def test_what_is_no_picture_for_it(judge):
    x = noise(2)
    x[1, 0, 3, 3] = torch.nan
    with pytest.raises(SfumatoError, match="not finite"):
        judge.similarities(x, NAMES)
    with pytest.raises(UsageError, match="pictures of 16×16 pixels, not 8×16"):
        judge.similarities(noise(2)[..., :8], NAMES)


def test_ranks_are_places_in_a_sort(judge):
    x, asked = noise(12), torch.arange(12) % 4
    order = judge.similarities(x, NAMES).argsort(dim=1, descending=True)
    places = [row.index(k) for row, k in zip(order.tolist(), asked.tolist(), strict=True)]
    assert judge.ranks(x, asked, NAMES).tolist() == places


def test_a_tie_counts_against_the_picture(judge):
    right = torch.zeros(2, dtype=torch.int64)
    assert ranks_of(torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 2.0]]), right).tolist() == [1, 1]
    assert judge.ranks(noise(2), right, ["lion", "lion", "a lion"]).tolist() == [2, 2]  # it does not know "a"
    for wrong in (-1, 3):
        with pytest.raises(UsageError, match=r"candidates are 0 … 2"):
            ranks_of(torch.zeros(1, 3), torch.tensor([wrong]))


def test_words_that_it_has_never_seen(judge):
    assert judge.unknown("a Lion, lions and rockets") == ("a", "and")


def test_among_a_few_names_it_is_a_classifier(judge):
    choice = Among(judge, NAMES[:2])
    assert isinstance(choice, Classifier)
    assert torch.equal(choice.probabilities(noise(3)), judge.probabilities(noise(3), NAMES[:2]))
    assert judged(noise(3), ["lion", "lion", "blue rocket"], choice).count == 3


def test_there_is_no_judge_of_that_name(monkeypatch):
    with pytest.raises(UsageError, match="unknown judge 'cats'; choose one of emoji"):
        load_matcher("cats")
    monkeypatch.setitem(bundled.MATCHERS, "none", "none.safetensors")
    with pytest.raises(UsageError, match="no judge of texts"):
        load_matcher("none")


def test_the_bundled_judge_says_how_far_it_is_to_be_trusted():
    packaged = load_matcher()
    found = packaged.facts["retrieval"]
    assert set(found) == {"training", "worsened training", "held out"}
    assert all(rows["candidates"] == len(packaged.names) > 1000 for rows in found.values())
    assert found["held out"]["top5"]["share"] > 0.9
    assert packaged.unknown("a lithograph of a skull") == ()
    assert packaged.unknown("a barista at the amalfi coast") == ("barista", "amalfi")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_file_gives_the_matcher_back(judge, tmp_path, dtype):
    judge.network.half().float()
    save_matcher(tmp_path / "a.safetensors", judge, dtype)
    again = read_matcher(tmp_path / "a.safetensors")
    assert (again.names, again.facts, again.network.config) == (judge.names, judge.facts, judge.network.config)
    assert torch.equal(again.similarities(noise(3), NAMES), judge.similarities(noise(3), NAMES))


def damaged_files(judge: Matcher, folder: Path) -> dict[str, Path]:
    save_matcher(folder / "good", judge)
    good = (folder / "good").read_bytes()
    state, header = read_tensors(folder / "good", "matcher")
    (folder / "text").write_text("not a judge")
    (folder / "empty").write_bytes(b"")
    (folder / "half").write_bytes(good[: len(good) // 2])
    save_file(state, folder / "foreign", {"format": "pt"})
    write_tensors(folder / "another kind", state, header | {"kind": "judge"})
    write_tensors(folder / "no names", state, {k: v for k, v in header.items() if k != "names"})
    write_tensors(folder / "odd names", state, header | {"names": 3})
    write_tensors(folder / "odd network", state, header | {"network": []})
    write_tensors(folder / "other network", state, header | {"network": header["network"] | {"features": 13}})
    write_tensors(folder / "impossible", state, header | {"network": header["network"] | {"size": 15}})
    write_tensors(folder / "missing", {"text.0.bias": state["text.0.bias"]}, header)
    write_tensors(folder / "nan", state | {"text.0.bias": state["text.0.bias"] * torch.nan}, header)
    return {path.name: path for path in folder.iterdir() if path.name != "good"} | {"absent": folder / "absent"}


def test_a_damaged_or_foreign_file_is_one_line(judge, tmp_path):
    files = damaged_files(judge, tmp_path)
    assert len(files) == 13
    for name, path in files.items():
        with pytest.raises(SfumatoError) as caught:
            read_matcher(path)
        message = str(caught.value)
        assert str(path) in message, name
        assert "\n" not in message, name


def test_worsened_pictures_are_pictures():
    x = noise(40)
    worse = worsen(x, stream(0, "a"))
    assert worse.min() >= 0
    assert worse.max() <= 1
    assert torch.equal(worse, worsen(x, stream(0, "a")))
    assert not torch.equal(worse, worsen(x, stream(0, "b")))
    kept = (worse - x).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert 0 < kept.sum() < 20


def test_worsened_pictures_stay_where_they_were():
    data = shapes(repeat=20)
    plain = 1 - seen(replace(data, augmentation=STRONGER.none()), torch.arange(len(data)), stream(0, "a"))
    grey, worse = plain.mean(1), (1 - worsen(1 - plain, stream(0, "b"))).mean(1)
    assert (worse - grey).mean().abs() < 0.03
    drift = (worse - worse.mean((1, 2), keepdim=True)) * torch.linspace(-1, 1, SIZE)
    assert (drift.mean() - (grey * torch.linspace(-1, 1, SIZE)).mean()).abs() < 0.01


def test_concepts_gather_what_their_pictures_are_called():
    data = shapes(("flat art", "photo"))
    other = replace(data.records[1], names=("post", "pole"), keywords=("geometry", "wood"))
    concepts = Concepts.in_data(replace(data, records=(data.records[0], other, *data.records[2:])))
    assert concepts.names == SHAPES
    assert concepts.records[0].names == ("post", "thing like a post", "pole")
    assert concepts.records[0].keywords == ("geometry", "wood")
    assert concepts.records[0].styles == ("flat art", "photo")
    stranger = replace(data.records[0], concept="fog", names=("fog",))
    assert concepts.of(replace(data, records=(stranger, *data.records[1:]))).tolist() == [-1, 0, 1, 1, *[2] * 2] + [
        k for k in (3, 4, 5) for _ in range(2)
    ]


def test_two_concepts_of_one_name_cannot_be_judged():
    data = shapes(("flat art",))
    double = replace(data.records[1], names=("post",))
    with pytest.raises(UsageError, match="two concepts of shapes are called 'post'"):
        Concepts.in_data(replace(data, records=(data.records[0], double, *data.records[2:])))


def test_a_name_that_two_concepts_share_tells_neither():
    data = shapes(("flat art",))
    names = {"post": ("post", "stick"), "beam": ("beam", "post", "stick", "plank")}
    records = tuple(replace(record, names=names.get(record.concept, record.names)) for record in data.records)
    concepts = Concepts.in_data(replace(data, records=records))
    assert [record.names for record in concepts.records[:2]] == [("post",), ("beam", "plank")]


def test_one_concept_is_nothing_to_learn():
    data = shapes()
    one = replace(data, pictures=data.pictures[:2], records=data.records[:2], concept_of=data.concept_of[:2])
    with pytest.raises(UsageError, match="at least two concepts, and shapes has 1"):
        MatcherTrainer(MatcherRecipe(), one)


def test_texts_are_of_their_concept_in_any_style():
    concepts = Concepts.in_data(shapes())
    texts = concepts.texts(200, stream(0, "a"))
    assert texts == concepts.texts(200, stream(0, "a"))
    assert len(texts) == 6 * 400
    for place, name in enumerate(SHAPES):
        names, captions = texts[place * 400 :][:200], texts[place * 400 :][200:400]
        assert set(names) == {name, f"thing like a {name}"}
        assert sum(name in caption for caption in captions) > 150
        assert not any(other in caption for caption in captions for other in SHAPES if other != name)
        assert all(any(style.split()[0] in caption for caption in captions) for style in STYLES)


def test_training_becomes_harder():
    recipe = MatcherRecipe(ramp=0.5, hard=(0.0, 1.0), texts=4)
    assert [recipe.ramp_at(progress) for progress in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.5, 1.0, 1.0]
    data = shapes()
    trainer = MatcherTrainer(recipe, data, tiny(data))
    names = trainer.network.read([text for shape in SHAPES for text in (shape, f"thing like a {shape}")]).tolist()
    for progress, changed, only_names in ((0.0, 0, True), (0.25, 12, False), (0.5, 24, False)):
        generator = stream(0, "a")
        pictures = trainer._pictures(torch.arange(24), progress, generator)
        calm = seen(trainer.calm, torch.arange(24)[: 24 - changed], stream(0, "a")) if changed < 24 else pictures[:0]
        assert torch.equal(pictures[: 24 - changed], calm)
        drawn = [row for k in range(20) for row in trainer._texts(progress, stream(k, "b")).tolist()]
        assert all(row in names for row in drawn) == only_names


def test_training_learns_pictures_and_names():
    # What is worse would leave little of pictures as small as these.
    calm = Augmentation(coloured=0.2, painted=0)
    recipe = MatcherRecipe(epochs=30, batch_size=36, lr=5e-3, ema=0.9, texts=8, augmentation=calm)
    data = shapes(("flat art", "3D render", "cartoon"), repeat=12)
    trainer = MatcherTrainer(recipe, data, tiny(data))
    losses = [epoch.loss for epoch in trainer.run()]
    assert losses[-1] < losses[0]
    judge = trainer.matcher()
    assert judge.names == SHAPES
    tables = measure(judge, data, shapes(("photo",)))
    assert tables["training"].top() >= 0.95 * len(data)
    assert tables["held out"].top() >= 5
    x = (data.plain(torch.tensor([0]), torch.device("cpu")) + 1) / 2
    assert judge.ranks(x, torch.tensor([0]), ["an oil painting of a post", *SHAPES[1:]]).tolist() == [0]


def test_the_same_seed_gives_the_same_weights():
    data = shapes(("flat art", "photo"))

    def weights(seed: int) -> dict[str, torch.Tensor]:
        trainer = MatcherTrainer(MatcherRecipe(epochs=2, batch_size=6, texts=2, seed=seed), data, tiny(data))
        torch.rand(3)  # the global generator has no part in it
        list(trainer.run())
        return trainer.matcher().network.state_dict()

    first, second, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["picture.0.weight"], other["picture.0.weight"])


def test_the_facts_are_about_the_rounded_file(tmp_path, capsys):
    train, test = shapes(("flat art", "3D render")), shapes(("photo",))
    judge = train_matcher(MatcherRecipe(epochs=1, batch_size=6, texts=2), train, test)
    save_matcher(tmp_path / "a", judge)
    again = read_matcher(tmp_path / "a")
    assert again.facts == json.loads(json.dumps(judge.facts))
    assert {"recipe", "worsened", "data", "test", "seconds", "versions"} < again.facts.keys()
    assert again.facts["data"] == {"name": "shapes", "n": 12, "concepts": 6, "fingerprint": train.fingerprint}
    for name, table in measure(again, train, test).items():
        assert table.summary().items() <= again.facts["retrieval"][name].items()
    assert capsys.readouterr().out.startswith("epoch 1/1  loss")


def test_the_learning_rate_warms_up_and_ends_at_zero():
    recipe = MatcherRecipe()
    assert recipe.lr_at(0.0) < recipe.lr_at(0.05) < recipe.lr_at(0.1) == recipe.lr
    assert recipe.lr_at(1.0) == pytest.approx(0)


@pytest.mark.parametrize(
    "numbers",
    [{"epochs": 0}, {"batch_size": 1}, {"texts": 0}, {"hard": (0.5, 1.5)}, {"hard": (-1.0, 0.5)}, {"ramp": 0.0}],
)
def test_impossible_recipes(numbers):
    with pytest.raises(UsageError, match=r"at least 1 epoch|must be shares"):
        MatcherRecipe(**numbers)


def captioned_folder(folder: Path) -> Path:
    lines = []
    for shape in SHAPES:
        for style, colour in STYLES.items():
            name = f"{shape}-{style}.png"
            picture = Image.fromarray(drawing(shape, colour).permute(1, 2, 0).numpy())
            picture.resize((128, 128)).save(folder / name)
            line = {"file_name": name, "text": shape, "style": style, "held_out": style == "photo"}
            lines.append(json.dumps(line))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


def test_commands_train_and_check(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    folder, file = captioned_folder(tmp_path / "data"), tmp_path / "judge.safetensors"
    assert main(["--data", str(folder), "--out", str(file), "--epochs", "1"]) == 0
    trained = capsys.readouterr().out
    assert "HELD OUT PICTURES" in trained
    assert main(["--data", str(folder), "--check", "--judge", str(file)]) == 0
    assert trained.endswith(capsys.readouterr().out)


def test_commands_fail_in_one_line(tmp_path, capsys, judge):
    assert main(["--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: give --out FILE to train a judge, or --check to measure one\n"
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "a")]) == 2
    assert "has no metadata.jsonl" in capsys.readouterr().err
    save_matcher(tmp_path / "lions", judge)
    assert main(["--data", str(captioned_folder(tmp_path)), "--check", "--judge", str(tmp_path / "lions")]) == 2
    assert "the judge knows nothing that is in" in capsys.readouterr().err
