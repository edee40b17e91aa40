"""Every page does what it shows: Python runs, answers come, commands are understood, pictures are made."""

import shlex
import sys

import numpy as np
import pytest
from PIL import Image

TOOL = sys.modules["pages_tool"]
PAGES = {str(page.relative_to(TOOL.ROOT)): page for page in TOOL.pages()}
RUN = [name for name, page in PAGES.items() if any(block.run for block in TOOL.blocks(page))]


def close(made, shown) -> float:
    """The mean difference of two pictures in grey levels; another size is a failure."""
    first, second = (np.asarray(Image.open(file).convert("RGB"), dtype=float) for file in (made, shown))
    assert first.shape == second.shape
    return float(np.abs(first - second).mean())


def test_pages_are_found():
    assert {"README.md", "docs/start.md", "docs/tutorial/noise.md", "docs/views.md"} <= PAGES.keys()
    assert len(RUN) >= 10


@pytest.mark.thorough
@pytest.mark.parametrize("name", RUN)
def test_what_a_page_shows_runs(name, tool, tmp_path, monkeypatch):
    monkeypatch.setenv("SFUMATO_DATA", str(tmp_path / "nothing"))
    for made, shown in tool.made(PAGES[name]):
        assert made.exists(), f"{name} shows {shown.name}, which nothing on it makes"
        assert shown.exists(), f"run tools/pages.py {name}"
        # Rounding may move a pixel of a sample; other weights or another example make other pictures.
        assert close(made, shown) < 6, f"{shown.name} is not what {name} makes; run tools/pages.py {name}"


@pytest.mark.parametrize("name", PAGES)
def test_commands_of_a_page_are_understood(name, tool):
    shown = [
        (command.words, False)
        for block in tool.blocks(PAGES[name])
        if block.kind == "console"
        for command in tool.commands(block.text)
    ]
    named = [(tuple(shlex.split(text)), True) for text in tool.inline_commands(PAGES[name])]
    for words, in_passing in [*shown, *named]:
        arguments = tool.ours(words)
        if arguments is not None:
            try:
                tool.understood(arguments, named=in_passing)
            except Exception as error:
                raise AssertionError(f"{name}: {shlex.join(words)}: {error}") from error


def test_no_picture_of_the_tutorial_is_left_over():
    shown = {file for page in PAGES.values() for _, file in TOOL.SHOWN.findall(page.read_text(encoding="utf-8"))}
    there = {file.name for file in (TOOL.DOCS / "images" / "tutorial").iterdir()}
    assert there == shown


# What these tests rest on: a wrong page is found out.


def page(folder, text):
    path = folder / "page.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_blocks_are_found_in_order_with_their_lines(tool, tmp_path):
    text = "# A\n\n```python\na = 1\n```\n\n<!-- run -->\n```console\n$ sfumato x\n```\n\n```console\n$ make\n```\n"
    assert [(b.kind, b.line, b.run) for b in tool.blocks(page(tmp_path, text))] == [
        ("python", 4, True),
        ("console", 9, True),
        ("console", 13, False),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```python\nraise ValueError('wrong')\n```\n", ValueError),
        ("```pycon\n>>> 1 + 1\n3\n```\n", AssertionError),
        ("<!-- run -->\n```console\n$ sfumato generate x --steps 1\n```\n", AssertionError),
        ("<!-- run -->\n```console\n$ sfumato views check flip --size 8\nflip: no view\n```\n", AssertionError),
        ("<!-- run -->\n```console\n$ make tour\n```\n", AssertionError),
    ],
)
def test_a_wrong_page_is_found_out(text, error, tool, tmp_path):
    with pytest.raises(error):
        tool.Reader(tmp_path).read(page(tmp_path, text))


def test_names_and_files_last_over_a_page(tool, tmp_path):
    first = "```python\na = 2\nopen('x', 'w').close()\n```\n"
    text = first + "```pycon\n>>> a + 1\n3\n>>> b = a\n```\n```python\nassert b == 2\n```\n"
    tool.Reader(tmp_path).read(page(tmp_path, text))
    assert (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "words",
    ["sfumato generate --stepz 3", "sfumato generat 3", "sfumato views chek flip", "sfumato train class --set"],
)
def test_commands_that_are_not_understood(words, tool):
    with pytest.raises(Exception, match=r"\w"):
        tool.understood(tool.ours(tuple(words.split())))


@pytest.mark.parametrize("words", ["sfumatoo generate", "python tools/nothing.py", "rm -r out"])
def test_other_programs_are_known(words, tool):
    with pytest.raises(ValueError, match=r"calls|there is no"):
        tool.ours(tuple(words.split()))


def test_answers_may_have_gaps(tool):
    tool._same("out/a-…: identical, … pixel", "out/a-6.png: identical,\n pixel for pixel", "here")
    with pytest.raises(AssertionError):
        tool._same("out/a-…: other", "out/a-6.png: identical", "here")
