"""The small extensions that the documentation is built with."""

from typing import Literal

import pytest

pytest.importorskip("sphinx", reason="sphinx is not installed")
pytest.importorskip("latex2mathml", reason="latex2mathml is not installed")

from _ext import commands, docstrings, drawings, notebook, settings
from sphinx.errors import ExtensionError

from sfumato.app.jobs import Denoise
from sfumato.core.predictions import Prediction
from sfumato.training.recipe import Recipe


def test_signs_of_plain_text_stay_what_they_are():
    assert docstrings.converted("|A| and a*b") == r"\|A\| and a\*b"
    assert docstrings.converted("`x` and `a b`") == "``x`` and ``a b``"
    assert docstrings.converted("`a\nb` c") == "``a\nb`` c"
    assert docstrings.converted("±`x`, `y`") == r"±\ ``x``\ , ``y``"
    assert docstrings.converted("x_t and t_") == r"x_t and t\_"


def test_sections_become_fields():
    text = "Do it.\n\nArgs:\n    x: A number,\n        or two.\n    y: Another.\n\nRaises:\n    ValueError: no number."
    assert docstrings.converted(text).split("\n") == [
        "Do it.",
        "",
        ":param x: A number,",
        "        or two.",
        ":param y: Another.",
        "",
        ":raises ValueError: no number.",
    ]


def test_what_is_returned_is_one_field():
    assert docstrings.converted("A.\n\nReturns:\n    One\n    thing.").split("\n")[2:] == [
        ":returns: One",
        "    thing.",
    ]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (str, "text"),
        (float | None, "number | nothing"),
        (Literal["a", "b"], "a | b"),
        (tuple[float, ...], "[number, …]"),
        (Prediction, "eps | x0 | v | flow"),
    ],
)
def test_types_are_written_for_people(annotation, text):
    assert settings.written(annotation) == text


def test_defaults_are_written_for_people():
    fields = Recipe.model_fields
    assert [settings.default(fields[name]) for name in ("name", "steps", "sigmas", "prediction", "epochs")] == [
        "",
        "nothing",
        "[0.5]",
        "eps",
        "20",
    ]


def test_meanings_come_from_the_source():
    assert settings.meaning(Recipe, "timesteps") == "T of a discrete schedule."
    assert settings.meaning(Denoise, "sigma") == "Standard deviation in pixels of the blur."
    assert settings.meaning(Denoise, "t") == ""


def test_every_command_is_told_once_with_all_its_options():
    group = commands.program()
    context = group.make_context("sfumato", [], resilient_parsing=True)
    told = {" ".join(words): (command, at) for words, command, at in commands.leaves(group, context)}
    assert {"generate", "train", "views check", "models pull", "studio"} <= told.keys()
    command, at = told["generate"]
    shared = commands.fields(commands.group_of(command))
    assert shared["steps"] == "Options of sampling"
    assert shared["best_of"] == "Options of searching"
    own = {parameter.name for parameter in command.params} - shared.keys()
    assert own == {"prompts"}
    written = [name for name, _ in commands.records(command, at, set(shared))]
    assert any(name.startswith("--guidance") for name in written)
    assert commands.group_of(told["views check"][0]) is None


def test_a_drawing_leaves_its_colours_to_the_page():
    svg = '<svg xmlns="x" viewBox="0 0 1 1">\n<style>\na { fill: red }\n</style><path/></svg>'
    assert drawings.drawing(svg, 'a "line"') == (
        '<div class="drawing" role="group" aria-label="drawing" tabindex="0">'
        '<svg xmlns="x" viewBox="0 0 1 1" role="img" aria-label="a &quot;line&quot;">\n<path/></svg></div>'
    )


def test_cells_become_a_page():
    assert notebook.written({"cell_type": "markdown", "source": ["# Title\n", "\n", "Text"]}) == "Text"
    stream = {"output_type": "stream", "text": ["1\n", "2\n"]}
    code = {"cell_type": "code", "source": ["print(1)"], "outputs": [stream], "metadata": {}}
    assert notebook.written(code) == "```python\nprint(1)\n```\n\n```text\n1\n2\n```"
    picture = {"output_type": "execute_result", "data": {"image/png": "QUI="}}
    shown = {"cell_type": "code", "source": ["x"], "outputs": [picture], "metadata": {"alt": "a digit"}}
    assert notebook.written(shown).endswith("![a digit](data:image/png;base64,QUI=)")
    with pytest.raises(ExtensionError, match="alt"):
        notebook.written({**shown, "metadata": {}})
