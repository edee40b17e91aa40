"""The judge of digits: what comes with the package, its laws, its files, and how it is trained."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.core.noise import stream
from sfumato.errors import SfumatoError, UsageError
from sfumato.evaluation.judge import Judge, load_judge, read_judge, save_judge
from sfumato.evaluation.metrics import accuracy
from sfumato.evaluation.train_judge import JudgeRecipe, JudgeTrainer, augment, main, nothing
from sfumato.models.judge import JudgeNet
from sfumato.training.data import ImageData
from sfumato.training.datasets.mnist import load_mnist

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


@pytest.fixture(scope="module")
def judge() -> Judge:
    return load_judge()


def noise(rows: int) -> torch.Tensor:
    return torch.rand(rows, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def strokes(n: int) -> ImageData:
    """Two classes that a few steps tell apart: a vertical and a horizontal bar."""
    images = torch.zeros(n, 1, 28, 28, dtype=torch.uint8)
    images[0::2, :, 4:24, 12:16] = 255
    images[1::2, :, 12:16, 4:24] = 255
    return ImageData("strokes", images, torch.arange(n) % 2, ("|", "-"))


def test_the_packaged_judge(judge):
    assert judge.classes == tuple("0123456789")
    assert judge.facts["test_accuracy"] >= 0.993
    assert {"recipe", "data", "versions"} <= judge.facts.keys()
    assert sum(p.numel() for p in judge.network.parameters()) <= 150_000
    assert not judge.network.training


def test_shapes_and_probabilities(judge):
    x = noise(5)
    assert judge.features(x).shape == (5, 96)
    assert judge.logits(x).dtype == torch.float32
    assert torch.allclose(judge.probabilities(x).sum(dim=1), torch.ones(5))
    assert torch.equal(judge.classify(x), judge.logits(x).argmax(dim=1))
    assert torch.allclose(judge.network.head(judge.features(x)), judge.logits(x), atol=1e-5)


def test_no_pictures_no_verdicts(judge):
    assert judge.classify(noise(0)).shape == (0,)
    assert judge.logits(noise(0)).shape == (0, 10)


def test_a_row_does_not_depend_on_its_neighbours(judge):
    x = noise(17)
    together = judge.logits(x)
    alone = torch.cat([judge.logits(row[None]) for row in x])
    chunked = Judge(judge.network, judge.classes, chunk=4).logits(x)
    assert torch.allclose(together, alone, rtol=0, atol=1e-5)
    assert torch.allclose(together, chunked, rtol=0, atol=1e-5)


def test_float32_whatever_the_caller(judge):
    x = noise(3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(judge.logits(x), judge.logits(x.double()))
    assert judge.logits(x.requires_grad_()).grad_fn is None


def test_pixels_are_clipped(judge):
    x = 4 * noise(3) - 2
    assert torch.equal(judge.logits(x), judge.logits(x.clamp(0, 1)))


def test_a_diverged_picture_is_no_digit(judge):
    x = noise(2)
    x[1, 0, 3, 3] = torch.nan
    with pytest.raises(SfumatoError, match="not finite"):
        judge.classify(x)


def test_not_sure_of_noise(judge):
    assert judge.probabilities(noise(100)).amax(dim=1).mean() < 0.5


def test_unknown_judge():
    with pytest.raises(UsageError, match="unknown judge 'cats'; choose one of digits"):
        load_judge("cats")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_file_gives_the_judge_back(judge, tmp_path, dtype):
    save_judge(tmp_path / "a.safetensors", judge, dtype)
    again = read_judge(tmp_path / "a.safetensors")
    assert (again.classes, again.facts) == (judge.classes, judge.facts)
    assert torch.equal(again.logits(noise(3)), judge.logits(noise(3)))  # 16 bits hold what came from 16 bits


def test_the_packaged_file_is_small(judge, tmp_path):
    save_judge(tmp_path / "a.safetensors", judge)
    assert (tmp_path / "a.safetensors").stat().st_size <= 400_000


def damaged_files(judge: Judge, folder: Path) -> dict[str, Path]:
    save_judge(folder / "good", judge)
    good = (folder / "good").read_bytes()
    state = judge.network.state_dict()
    header = {"format": "sfumato", "network": '{"kind": "judge", "classes": ["a"]}', "facts": "{}"}
    (folder / "text").write_text("not a judge")
    (folder / "empty").write_bytes(b"")
    (folder / "half").write_bytes(good[: len(good) // 2])
    save_file(state, folder / "foreign", {"format": "pt"})
    save_file(state, folder / "unet", header | {"network": '{"width": 64, "channels": 1}'})
    save_file(state, folder / "list", header | {"network": "[]"})
    save_file(state, folder / "json", header | {"network": "{"})
    save_file(state, folder / "classes", header)
    save_file({"head.weight": torch.zeros(())}, folder / "scalar", header)
    save_file({"head.bias": torch.zeros(1)}, folder / "missing", header)
    nan = Judge(JudgeNet(), judge.classes)
    torch.nn.init.constant_(nan.network.head.bias, torch.nan)
    save_judge(folder / "nan", nan)
    return {path.name: path for path in folder.iterdir() if path.name != "good"} | {"absent": folder / "absent"}


def test_a_damaged_or_foreign_file_is_one_line(judge, tmp_path):
    files = damaged_files(judge, tmp_path)
    assert len(files) == 12
    for name, path in files.items():
        with pytest.raises(SfumatoError) as caught:
            read_judge(path)
        message = str(caught.value)
        assert str(path) in message, name
        assert "\n" not in message, name


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 16, 16), (3, 32, 32)])
def test_judges_of_other_pictures(tmp_path, shape):
    channels, size, _ = shape
    judge = Judge(JudgeNet(3, channels=channels, size=size), ("a", "b", "c"))
    save_judge(tmp_path / "a.safetensors", judge, torch.float32)
    again = read_judge(tmp_path / "a.safetensors")
    x = torch.rand(2, *shape)
    assert again.shape == shape
    assert torch.equal(again.logits(x), judge.logits(x))
    assert again.reads(shape, ("a", "c"))
    assert not again.reads(shape, ("d",))
    assert not again.reads((channels, size + 4, size + 4), ("a",))


def test_too_small_for_a_judge():
    with pytest.raises(ValueError, match="16 pixels and more"):
        JudgeNet(size=12)


@pytest.mark.parametrize("shape", [(1, 12, 12), (1, 30, 30), (3, 32, 16)])
def test_pictures_that_no_judge_is_trained_on(shape):
    data = ImageData("odd", torch.zeros(4, *shape, dtype=torch.uint8), torch.arange(4) % 2, ("a", "b"))
    with pytest.raises(UsageError, match="square pictures"):
        JudgeTrainer(JudgeRecipe(), data)


def test_one_class_is_nothing_to_tell_apart():
    data = ImageData("same", torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.zeros(4, dtype=torch.long), ("a",))
    with pytest.raises(UsageError, match="no classes to tell apart"):
        JudgeTrainer(JudgeRecipe(), data)


@pytest.mark.parametrize("count", [2, 40, 400, 60_000])
def test_a_recipe_for_so_many_pictures_has_steps_enough(count):
    recipe = JudgeRecipe.of(count)
    steps = recipe.epochs * max(1, count // recipe.batch_size)
    assert 800 <= steps <= 2400
    assert 8 <= recipe.batch_size <= 256


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_augmented_pictures_are_pictures(shape):
    x = torch.rand(40, *shape, generator=torch.Generator().manual_seed(0))
    for made in (augment(x, stream(0, "a")), nothing(x, 0.5, stream(0, "a"))):
        assert made.shape[1:] == shape
        assert made.min() >= 0
        assert made.max() <= 1
    assert torch.equal(augment(x, stream(0, "a")), augment(x, stream(0, "a")))
    assert len(nothing(x, 0.5, stream(0, "a"))) == 20
    assert len(nothing(x, 0.0, stream(0, "a"))) == 0


def test_augmentation_keeps_the_digit_in_place():
    x = strokes(400).pixels(torch.arange(400))
    moved = augment(x, stream(0, "a"))
    centre = torch.arange(28) - 13.5
    for axis in (2, 3):
        place = (moved.sum(dim=axis) * centre).sum(dim=2) / moved.sum(dim=(2, 3))
        assert place.abs().max() < 5
        assert place.mean().abs() < 0.5


def test_training_learns_and_repeats():
    recipe = JudgeRecipe(epochs=8, batch_size=32, ema=0.5)
    first, second = (JudgeTrainer(recipe, strokes(64)) for _ in range(2))
    losses = [epoch.loss for epoch in first.run()]
    assert [next(second.run()).loss] == losses[:1]
    assert losses[-1] < losses[0]
    data = strokes(20)
    assert accuracy(first.judge(), data.pixels(torch.arange(20)), data.labels) == 1


def test_the_learning_rate_warms_up_and_ends_at_zero():
    recipe = JudgeRecipe()
    assert recipe.lr_at(0.0) < recipe.lr_at(0.05) < recipe.lr_at(0.1) == recipe.lr
    assert recipe.lr_at(1.0) == pytest.approx(0)


def test_commands_fail_in_one_line(tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--check"]) == 2
    assert capsys.readouterr().err.startswith("error: no t10k-images-idx3-ubyte")


@pytest.mark.skipif(not MNIST.is_dir(), reason="MNIST is not beside the repository")
def test_accuracy_on_mnist(judge):
    data = load_mnist("test", MNIST)
    measured = accuracy(judge, data.pixels(torch.arange(len(data))), data.labels)
    assert measured >= 0.993
    assert measured == pytest.approx(judge.facts["test_accuracy"], abs=2e-4)
    assert judge.facts["test"]["fingerprint"] == data.fingerprint
