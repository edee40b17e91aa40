"""The best of many seeds, with judges whose verdict is known."""

from dataclasses import dataclass

import pytest
import torch

from sfumato.app.jobs import Anagram, Generate, Hybrid
from sfumato.app.run import run
from sfumato.app.search import best_of
from sfumato.backends import registry
from sfumato.errors import UsageError
from sfumato.evaluation.judges import judge_of


def load(name: str, dtype: str = "float32"):
    return registry.load(name, "cpu", dtype)


@dataclass
class Brightness:
    """Reads a picture as bright by its mean."""

    classes: tuple[str, ...] = ("3", "dark")

    def probabilities(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((1, 2, 3))
        return torch.stack([mean, 1 - mean], dim=1)


@pytest.fixture(scope="module")
def job() -> Generate:
    return Generate(model="digits", prompt="3", steps=2, guidance=1.0, seed=5)


def test_the_best_seed_is_the_one_that_a_run_of_all_finds_and_is_itself_made_again(job):
    found = best_of(job, 40, load, lambda _: Brightness(), keep=3)
    all_of_them = run([job.model_copy(update={"seed": seed}) for seed in range(5, 45)], load)
    every = {result.job.seed: result.picture for result in all_of_them}
    means = {seed: float(picture.mean()) for seed, picture in every.items()}
    ranked = sorted(means, key=lambda seed: -means[seed])
    assert [c.result.job.seed for c in found.kept] == ranked[:3]
    assert found.weakest == pytest.approx(means, abs=1e-5)
    for candidate in found.kept:
        assert (candidate.result.picture - every[candidate.result.job.seed]).abs().max() < 1e-5
    assert found.right == 0  # dark is more probable for all
    told = found.to_dict()
    assert told["tried"] == told["asked_for"] == 40
    assert told["quantiles"]["0"] <= told["quantiles"]["0.5"] <= told["quantiles"]["1"]


def test_a_search_stops_when_it_is_good_enough(job):
    found = best_of(job, 100, load, lambda _: Brightness(), enough=0.01)
    assert len(found.weakest) == 32
    assert "good enough before 100" in str(found)


def test_the_weakest_reading_counts():
    views = [{"prompt": "3", "view": "identity"}, {"prompt": "dark", "view": "rotate:180"}]
    job = Anagram(readings=views, steps=2, guidance=1.0, seed=0, model="digits")
    with pytest.raises(UsageError, match="dark"):
        best_of(job, 2, load, lambda _: Brightness())  # no digit, so the model says so before the judge is asked
    upside = Anagram(readings=[views[0], {"prompt": "3", "view": "negate"}], steps=2, guidance=1.0, model="digits")
    (kept,) = best_of(upside, 4, load, lambda _: Brightness()).kept
    bright, inverse = kept.readings
    assert bright + inverse == pytest.approx(1, abs=1e-5)
    assert kept.weakest == min(bright, inverse)


def test_a_hybrid_is_read_from_afar_and_from_near():
    far, near = Hybrid(far="0", near="3", sigma=2.0, steps=2, guidance=1.0).looks()
    assert (far.prompt, far.name, near.prompt) == ("0", "from afar", "3")
    noise = torch.rand(1, 1, 28, 28)
    assert torch.equal(near.at(noise), noise)
    rough = far.at(noise)[..., 1:] - far.at(noise)[..., :-1]
    assert rough.abs().mean() < 0.2 * (noise[..., 1:] - noise[..., :-1]).abs().mean()


@pytest.mark.parametrize(
    ("how", "words"),
    [({"keep": 5}, "cannot keep 5 of 4"), ({"enough": 1.5}, "between 0 and 1, not 1.5")],
)
def test_what_cannot_be_meant_is_refused(job, how, words):
    with pytest.raises(UsageError, match=words):
        best_of(job, 4, load, lambda _: Brightness(), **how)


def test_nothing_asked_for_is_nothing_to_judge():
    with pytest.raises(UsageError, match="nothing to judge without a prompt"):
        best_of(Generate(model="digits", steps=2, guidance=1.0), 2, load, lambda _: Brightness())


def test_the_judge_that_reads_such_pictures_is_found():
    assert set("0123456789") == set(judge_of("auto", (1, 28, 28), ["3", "8"]).classes)
    for name, shape, prompts, words in (
        ("digits", (3, 64, 64), ["3"], "grey pictures of 28 pixels"),
        ("digits", (1, 28, 28), ["a lion"], "grey pictures of 28 pixels"),
        ("nobody", (1, 28, 28), ["3"], "unknown judge 'nobody'"),
        ("clip:nowhere", (3, 64, 64), ["a lion"], "no readable config.json"),
    ):
        with pytest.raises(UsageError, match=words):
            judge_of(name, shape, prompts)


def test_one_reading_competes_with_every_name_but_its_own():
    prompt = "a sticker of a tiger face"
    classes = judge_of("auto", (3, 64, 64), [prompt]).classes
    assert classes[0] == prompt
    assert not {"tiger face", "tiger"} & set(classes)
    assert {"lion", "cat face"} <= set(classes)
    assert judge_of("auto", (3, 64, 64), ["a tiger", "a tiger face"]).classes == ("a tiger", "a tiger face")


def test_commands(sfumato, tmp_path):
    found = sfumato("anagram", "4", "8", "--best-of", "6", "-n", "2", "--steps", "3", "-o", tmp_path, "--seed", "3")
    assert found.code == 0, found.err
    assert "best of 6: seed" in found.out
    assert len(list(tmp_path.glob("anagram-*.png"))) == 2
    for words in (
        ("generate", "--best-of", "4"),
        ("generate", "3", "--best-of", "2", "-n", "3"),
        ("generate", "3", "--enough", "0.5"),
        ("generate", "3", "--best-of", "2", "--judge", "nobody"),
    ):
        done = sfumato(*words, "-o", tmp_path / "none")
        assert done.code == 2
        assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "none").exists()
