import json
import re

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sfumato.app.animate.illusion import read_illusion
from sfumato.app.animate.pieces import change
from sfumato.app.jobs import parse_job
from sfumato.app.provenance import SCHEMA
from sfumato.app.sheets import PAPERS, cuts, instruction, print_sheet, sheet_of
from sfumato.core.views import parse_view
from sfumato.errors import UsageError


def between(view, side=16):
    return change(parse_view("identity"), parse_view(view), (1, side, side))


@pytest.fixture
def grey(tmp_path):
    """A picture of one middle grey, on which lines are easily seen."""
    path = tmp_path / "grey.png"
    Image.new("L", (16, 16), 128).save(path)
    return path


def job_file(folder, job):
    info = PngImagePlugin.PngInfo()
    data = parse_job({"steps": 2, "guidance": 1, **job}).model_dump(mode="json")
    info.add_itxt("sfumato", json.dumps({"schema": SCHEMA, "job": data}))
    path = folder / f"{job['kind']}.png"
    Image.new("L", (16, 16), 128).save(path, pnginfo=info)
    return path


def boundary(page):
    """Left, top and side of the grey picture on a page."""
    grey = page[: int(page.shape[0] * 0.8)] == 128
    columns, rows = (np.flatnonzero(grey.sum(axis=axis) > 50) for axis in (0, 1))
    return columns[0], rows[0], columns[-1] + 1 - columns[0]


@pytest.mark.parametrize(("paper", "points"), [("a4", (595.28, 841.89)), ("letter", (612, 792))])
@pytest.mark.parametrize("dpi", [72, 150])
def test_a_page_has_the_size_of_the_paper(grey, tmp_path, paper, points, dpi):
    out = tmp_path / "page.pdf"
    print_sheet(grey, out, ["jigsaw"], paper=paper, dpi=dpi)
    data = out.read_bytes()
    assert data.startswith(b"%PDF")
    box = re.search(rb"/MediaBox \[ 0 0 ([0-9.]+) ([0-9.]+)", data)
    assert [float(side) for side in box.groups()] == pytest.approx(points, abs=0.5)
    again = tmp_path / "again.pdf"
    print_sheet(grey, again, ["jigsaw"], paper=paper, dpi=dpi)
    assert again.read_bytes() == data


def test_a_png_says_its_dots_an_inch(grey, tmp_path):
    out = tmp_path / "page.png"
    print_sheet(grey, out, ["hinge:4"], dpi=100)
    with Image.open(out) as page:
        assert page.size == (827, 1169)
        assert page.info["dpi"] == pytest.approx((100, 100), abs=0.1)


def test_lines_run_exactly_between_pieces(grey):
    illusion = read_illusion(grey, ["permute:2:seed=1"])
    page = np.asarray(sheet_of(illusion, PAPERS["a4"], 150))
    left, top, side = boundary(page)
    assert side == pytest.approx(180 / 25.4 * 150, abs=2), "as large as the margins allow"
    right, below = cuts([between("permute:2:seed=1")])
    inner = page[top : top + side, left : left + side]
    edges = np.round(np.arange(17) * side / 16).astype(int)
    middles = (edges[1:] + edges[:-1]) // 2
    for y in range(16):
        for x in range(15):
            assert (inner[middles[y], edges[x + 1]] == 0) == right[y, x]
    for y in range(15):
        for x in range(16):
            assert (inner[edges[y + 1], middles[x]] == 0) == below[y, x]


def test_a_turn_needs_no_cut():
    for view in ("rotate:180", "flip", "negate"):
        assert not any(lines.any() for lines in cuts([between(view)]))
    right, below = cuts([between("rotate:90"), between("hinge:2")])
    assert right.sum() == below.sum() == 16, "what any of the changes parts is cut"


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ("rotate:180", "Turn the page by 180°."),
        ("rotate:90", "Turn the page by a quarter turn to the left."),
        ("rotate:270", "Turn the page by a quarter turn to the right."),
        ("mirror", "Look at it in a mirror."),
        ("flip", "Turn the page by 180° and look at it in a mirror."),
        ("rotate:90+mirror", "Turn the page by a quarter turn to the left and look at it in a mirror."),
        ("negate", "Invert the colours of a photograph of it."),
        ("circle:180", "Cut along the line and turn the inner piece by 180°."),
        ("circle:270", "Cut along the line and turn the inner piece by a quarter turn to the right."),
        ("hinge:2", "Cut along the lines and put the 4 pieces together as in the small picture."),
        ("identity", "Look at it."),
    ],
)
def test_a_line_says_what_to_do(view, text):
    assert instruction(between(view)) == text


def test_what_paper_cannot_do_is_refused(grey):
    with pytest.raises(UsageError, match="turned over"):
        instruction(between("hinge:2+mirror"))
    with pytest.raises(UsageError, match=r"2\d\d pieces"):
        sheet_of(read_illusion(grey, ["pixel-permute:16"]), PAPERS["a4"], 72)


def test_several_readings_share_a_page(tmp_path):
    readings = [{"prompt": p, "view": v} for p, v in (("2", "identity"), ("5", "rotate:180"), ("7", "circle:90"))]
    path = job_file(tmp_path, {"kind": "anagram", "readings": readings})
    page = np.asarray(sheet_of(read_illusion(path), PAPERS["letter"], 72))
    lowest = page[int(page.shape[0] * 0.8) :]
    assert (lowest == 128).any(axis=0).sum() == pytest.approx(2 * 36 / 25.4 * 72, abs=4), "two small pictures"


def test_a_large_picture_and_an_oblong_one_fit(tmp_path):
    path = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 1400, 3), dtype=np.uint8)).save(path)
    page = sheet_of(read_illusion(path, ["rotate:180"], largest=1024), PAPERS["a4"], 72)
    assert page.mode == "RGB"
    assert page.size == (595, 842)


def test_the_command_writes_beside_the_picture(sfumato, tmp_path):
    path = job_file(
        tmp_path,
        {"kind": "anagram", "readings": [{"prompt": "6"}, {"prompt": "9", "view": "jigsaw"}]},
    )
    done = sfumato("sheet", path, "--dpi", 72)
    assert done.code == 0, done.err
    assert done.out.strip() == str(tmp_path / "anagram-sheet.pdf")
    assert (tmp_path / "anagram-sheet.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.png"], "there is no such file"),
        (["grey.png"], "carries no sfumato job.*--view"),
        (["hybrid.png"], "no anagram"),
        (["grey.png", "--view", "identity"], "nothing to cut"),
        (["grey.png", "--view", "flip", "--paper", "a5"], "a4, letter"),
        (["grey.png", "--view", "flip", "-o", "page.doc"], r"\.pdf or a \.png"),
        (["grey.png", "--view", "flip", "-o", "grey.png"], "the picture itself"),
        (["grey.png", "--view", "flip", "-o", "grey.png/page.pdf"], "is a file"),
        (["grey.png", "--view", "permute:3"], "permute"),
        (["grey.png", "--view", "flip", "--dpi", "9999"], "--dpi"),
    ],
)
def test_odd_requests_are_told_in_one_line(sfumato, tmp_path, grey, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    job_file(tmp_path, {"kind": "hybrid", "far": "0", "near": "3", "sigma": 2})
    done = sfumato("sheet", *arguments)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert re.search(message, done.err), done.err
