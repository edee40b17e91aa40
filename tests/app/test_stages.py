"""A cascade from the command line: two tiny networks, untrained, one making the other's pictures larger."""

import pytest
import torch

from sfumato.app.jobs import Generate, Hybrid
from sfumato.app.provenance import read_provenance
from sfumato.app.run import make_batches, run, total_steps
from sfumato.backends import registry
from sfumato.errors import UsageError
from sfumato.images import read_image
from sfumato.models.text_unet import TextUNetConfig
from sfumato.models.weights import save_weights
from sfumato.training.recipe import load_recipe

WORDS = ("a", "lion", "rocket")


def load(name: str, dtype: str = "float32"):
    return registry.load(name, "cpu", dtype)


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> tuple[str, str]:
    """Files of a stage of 16 pixels and one of 32."""
    folder = tmp_path_factory.mktemp("stages")
    names = []
    for recipe, size, guide in (("text", 16, 0), ("upsample", 32, 3)):
        torch.manual_seed(size)
        network = TextUNetConfig(WORDS, size=size, widths=(32,), text_width=32, guide=guide).build()
        torch.nn.init.normal_(network.last.weight, std=0.05)
        facts = {
            "recipe": load_recipe(recipe).with_changes({"low_res": 16 if guide else None}).model_dump(mode="json"),
            "data": {"pixel_range": (-1.0, 1.0)},
        }
        path = folder / f"{size}.safetensors"
        save_weights(path, network.config, network.state_dict(), facts)
        names.append(str(path))
    return names[0], names[1]


def test_a_job_goes_through_all_its_stages_and_alone_as_in_company(stages):
    small, large = stages
    shared = {"model": small, "steps": 3, "guidance": 2.0}
    jobs = [
        Generate(prompt="a lion", larger=(large,), seed=1, **shared),
        Generate(prompt="a rocket", seed=1, **shared),
        Hybrid(far="a lion", near="a rocket", sigma=1.0, larger=(large,), **shared),
    ]
    together = run(jobs, load)
    assert [tuple(r.picture.shape) for r in together] == [(3, 32, 32), (3, 16, 16), (3, 32, 32)]
    assert [len(r.models) for r in together] == [2, 1, 2]
    for job, result in zip(jobs, together, strict=True):
        (alone,) = run([job], load)
        assert (alone.picture - result.picture).abs().max() <= 1e-5
    seen = []
    run(jobs, load, lambda batch, step: seen.append(step.index))
    assert sum(index > 0 for index in seen) == total_steps(make_batches(jobs, load), load)


def test_the_bands_of_a_hybrid_part_at_the_same_place_of_the_larger_picture(stages):
    job = Hybrid(far="a lion", near="a rocket", sigma=1.0, steps=3, guidance=2.0, larger=(stages[1],))
    stage = job.stage(1, (load(stages[0]), load(stages[1])))
    assert [each.enlarged(2) for each in job.filters] == list(stage.filters)


def test_stages_that_do_not_fit_are_refused_before_anything_runs(stages):
    small, large = stages
    for chain, words in (
        ((small, small), "makes no picture larger"),
        ((small, large, large), "makes pictures of 16 pixels larger, not of 32"),
    ):
        with pytest.raises(UsageError, match=words):
            make_batches([Generate(model=chain[0], larger=chain[1:], steps=2, guidance=1)], load)
    with pytest.raises(UsageError, match="makes other pictures larger"):
        make_batches([Generate(model=large, steps=2, guidance=1)], load)


def test_commands(sfumato, stages, tmp_path):
    small, large = stages
    done = sfumato("generate", "a lion", "--model", small, "--larger", large, "--steps", "2", "-o", tmp_path)
    assert done.code == 0, done.err
    (made,) = tmp_path.glob("*.png")
    assert read_image(made).size == (32, 32)
    assert sfumato("rerun", made, "--verify", "-o", tmp_path / "again").code == 0

    done = sfumato("upscale", made, "--model", large, "--prompt", "a lion", "-o", tmp_path / "up")
    assert done.code == 0, done.err
    assert [read_image(path).size for path in (tmp_path / "up").glob("*.png")] == [(32, 32)]

    done = sfumato("upscale", made, "--model", small, "-o", tmp_path / "none")
    assert (done.code, done.err.splitlines()) == (2, [f"error: model {small} makes no picture larger"])
    done = sfumato("generate", "a lion", "--model", small, "--upscale", "40", "-o", tmp_path / "none")
    assert (done.code, done.err.splitlines()) == (2, [f"error: {small} makes pictures of 16 pixels, not 40"])
    done = sfumato("generate", "a lion in hiding", "--model", small, "--steps", "1", "-o", tmp_path / "note")
    assert done.err.splitlines() == [f"note: model {small} has never seen 'in', 'hiding': it leaves that out"]


def test_a_later_stage_says_all_of_how_it_is_made(sfumato, stages, tmp_path):
    """So that other defaults make the same picture again."""
    small, large = stages
    later = ("--later-steps", "3", "--later-guidance", "1.5", "--noise-level", "0.2")
    done = sfumato("generate", "a lion", "--model", small, "--larger", large, *later, "--steps", "2", "-o", tmp_path)
    assert done.code == 0, done.err
    (path,) = tmp_path.glob("*.png")
    (stage,) = read_provenance(path)["job"]["larger"]
    assert (stage["steps"], stage["guidance"], stage["noise_level"]) == (3, 1.5, 0.2)
    assert stage["loop"]["sampler"] == "ddpm"
    assert sfumato("rerun", path, "--verify").code == 0
    done = sfumato("generate", "a lion", "--model", small, "--later-steps", "3", "-o", tmp_path / "none")
    assert (done.code, "there are 0 later stages" in done.err) == (2, True)
