import contextlib
import io

import pytest
import torch
from PIL import Image, ImageDraw

from sfumato.models.course_unet import CourseUNet, CourseUNetConfig
from sfumato.models.weights import save_weights
from sfumato.training.recipe import load_recipe

DIGITS = tuple("0123456789")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A random class-conditioned network in a file: quick, and as good as another where pictures need no sense."""
    torch.manual_seed(0)
    network = CourseUNet(CourseUNetConfig(width=4, classes=DIGITS))
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    facts = {"recipe": load_recipe("class").model_dump(mode="json")}
    save_weights(path, network.config, network.state_dict(), facts)
    return str(path)


@pytest.fixture
def drawing(tmp_path):
    """A white ring on black, 28×28."""
    image = Image.new("L", (28, 28), 0)
    ImageDraw.Draw(image).ellipse((7, 5, 20, 22), outline=255, width=3)
    path = tmp_path / "ring.png"
    image.save(path)
    return path


@pytest.fixture
def mask(tmp_path):
    """The left half white."""
    image = Image.new("L", (28, 28), 0)
    image.paste(255, (0, 0, 14, 28))
    path = tmp_path / "mask.png"
    image.save(path)
    return path


class Outcome:
    """What a command did: exit code and what it said."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def sfumato():
    """Run a command line in this process."""
    from sfumato.app.cli import main

    def run(*arguments) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return Outcome(end.value.code, out.getvalue(), err.getvalue())

    return run
