"""The laws of a page, whatever model it is about."""

import base64
import io
import json
import re
import shlex

import pytest
import typer
from PIL import Image

from sfumato.app.cli.main import app
from sfumato.app.tour import TINY
from sfumato.app.tour.texts import TEXTS

A = ("A0", "A1.1", "A1.2", "A1.3", "A1.4", "A1.5", "A1.6", "A1.7", "A1.7.1", "A1.7.2", "A1.7.3", "A1.8", "A1.9", "A2")
B = ("B1.1", "B1.2", "B1.3", "B2.1", "B2.4", "B2.7", "B3")
C = ("C1", "C2", "C3", "C4", "C5", "C6")
KINDS = ("digits", "words", "free", "clothes", "denoiser", "both")
MOST = 12 * 2**20
"""Bytes of a page."""


@pytest.fixture(params=KINDS)
def tour(request):
    return request.getfixturevalue(request.param)


ROWS = {
    "digits": (*A, *B, *C),
    "both": (*A, *B, *C[:-1]),
    "words": (*A, *C[:-1]),  # nobody reads what it draws, so there is no search
    "clothes": (*A, *C[:-1]),
    "free": (*A[1:6], *A[7:10], "C4"),
    "denoiser": ("B1.1", "B1.2", "B1.3"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_the_rows_that_make_sense_for_the_model(kind, request):
    tour = request.getfixturevalue(kind)
    assert [name for name in tour.page.ids if name in TEXTS] == list(ROWS[kind])
    assert list(tour.rows) == list(ROWS[kind])


def test_another_model_may_show_its_training(both):
    assert list(both.rows) == [*A, *B, *C[:-1]]
    assert "Parts A and C are made by the model words; part B shows digits from scratch." in both.source
    assert list(both.result.numbers["models"]) == ["words", "digits", "digits/time", "digits/denoiser", "digits/flow"]
    assert [told["model"] for told in both.result.numbers["subjects"]] == ["words", "digits"]
    assert all("digits" not in command for command in section_of(both, "A0"))
    assert any("digits" in command for command in section_of(both, "B3"))


def section_of(tour, row: str) -> list[str]:
    """The commands of a row."""
    section = tour.source.partition(f'<section id="{row}">')[2].partition("</section>")[0]
    return re.findall(r"<pre><code>(.*?)</code></pre>", section, flags=re.S)


def test_it_is_well_formed(tour):
    assert not tour.page.open
    assert len(tour.page.ids) == len(set(tour.page.ids))


def test_it_asks_for_nothing(tour):
    assert all(link.startswith(("#", "data:image/")) for link in tour.page.links)
    assert {link[1:] for link in tour.page.links if link.startswith("#")} <= set(tour.page.ids)
    without_data = re.sub(r"data:image/[a-z]+;base64,[\w+/=]+", "", tour.source)
    assert not re.search(r"https?://|@import|<link|<iframe|<script[^>]* src", without_data)
    assert not re.search(r"url\((?!#|\"?data:)", without_data)
    assert len(tour.source.encode()) < MOST


def test_every_image_has_words_and_decodes(tour):
    assert len(tour.page.images) > 10
    for image in tour.page.images:
        assert image["alt"].strip()
        kind, content = re.fullmatch(r"data:image/(png|gif|webp);base64,(.+)", image["src"]).groups()
        with Image.open(io.BytesIO(base64.b64decode(content, validate=True)), formats=(kind.upper(),)) as picture:
            picture.load()


def test_every_chart_and_every_row_is_told_in_words(tour):
    assert all(tour.page.labels)
    for section in re.findall(r"<section id=.*?</section>", tour.source, flags=re.S):
        assert "<math" in section
        assert "What one sees" in section
        # A row without a picture says why, and has no numbers.
        assert ("<figure" in section) == ('class="measured"' in section)
        assert not re.search(r"\b(nan|None|inf)\b", re.sub(r"<[^>]*>", " ", section))


def test_an_idea_has_two_sentences():
    for about in TEXTS.values():
        assert len(re.findall(r"[.?!](?:\s|$)", about.idea)) == 2, about.id


def test_what_is_written_is_whole(tour):
    assert json.loads((tour.folder / "numbers.json").read_text(encoding="utf-8")) == json.loads(
        json.dumps(tour.result.numbers)
    )
    files = [path for path in tour.folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".html", ".json", ".png", ".gif"}
    assert not [path for path in files if path.name.startswith(".")]
    for path in files:
        if path.suffix in {".png", ".gif"}:
            with Image.open(path) as image:
                image.load()


def test_numbers_are_plain(tour):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    json.loads((tour.folder / "numbers.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_progress_is_told_to_the_end(tour):
    assert [done for _, done, _ in tour.told] == list(range(len(tour.told)))
    assert tour.told[-1][1] == tour.told[-1][2]


def parsed(words: list[str]):
    """A command line as the program takes it apart, without running it."""
    group = typer.main.get_command(app)
    command = group.commands[words[0]]
    return command.make_context(words[0], words[1:])


def test_every_command_is_one_that_the_program_takes(tour):
    assert tour.page.code
    for line in tour.page.code:
        program, *words = shlex.split(line)
        assert program == "sfumato"
        context = parsed(words)
        assert context.params
        named = [word for word in words if word.endswith(".png")]
        assert all((tour.folder / word).is_file() for word in named), line


@pytest.mark.parametrize(
    ("line", "told"),
    [("generate 3 --stepz 5", "No such option"), ("edit", "Missing"), ("hybrid 0 3 --sigma wide", "valid number")],
)
def test_a_command_that_the_program_does_not_take_is_told_apart(line, told):
    with pytest.raises(Exception, match=told):
        parsed(line.split())


def test_text_from_outside_is_escaped(digits):
    assert "noise &lt;&amp;&gt;" in digits.source
    assert "noise <&>" not in digits.source


def test_sizes_grow():
    from sfumato.app.tour import FULL, QUICK, USUAL

    for name in ("each", "clean", "fits", "keeps", "tries", "search"):
        small, usual, large = (getattr(size, name) for size in (QUICK, USUAL, FULL))
        assert getattr(TINY, name) <= small <= usual <= large
        assert small < large
