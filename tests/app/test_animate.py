import io
import json
import math
import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageFilter, ImageSequence, PngImagePlugin

from sfumato.app.animate import animate, scene_of
from sfumato.app.animate.film import Pace, frames, gif, mp4
from sfumato.app.animate.illusion import read_illusion
from sfumato.app.animate.looks import SteppingBack
from sfumato.app.animate.motion import Motion, belts
from sfumato.app.animate.moves import Moves
from sfumato.app.animate.page import Page, font_of, wrapped
from sfumato.app.animate.pieces import change
from sfumato.app.jobs import parse_job
from sfumato.app.output import enlarge
from sfumato.app.pictures import Picture
from sfumato.app.provenance import SCHEMA
from sfumato.core.views import View, parse_view
from sfumato.core.views.flawed import Blur
from sfumato.errors import UsageError
from sfumato.evaluation.illusions import seen
from sfumato.images import to_image, to_tensor

QUICK = Pace(move=0.25, hold=0.1, fps=20)
VIEWS = [
    "rotate:90",
    "rotate:180",
    "rotate:270",
    "flip",
    "mirror",
    "negate",
    "mirror+rotate:90+negate",
    "circle:90",
    "circle:180",
    "hinge:4",
    "hinge:3",
    "jigsaw",
    "jigsaw:seed=3+mirror",
    "permute:4",
    "pixel-permute:16",
    "skew",
    "roll:dx=0.25:dy=0.375",
    "circle:270+skew+negate",
]


class Quadrants(View):
    """The four quadrants of a picture, each one place on, clockwise."""

    name = "quadrants"

    def __call__(self, x):
        (a, b), (c, d) = (half.chunk(2, -1) for half in x.chunk(2, -2))
        return torch.cat([torch.cat([c, a], -1), torch.cat([d, b], -1)], -2)

    def inverse(self, y):
        (c, a), (d, b) = (half.chunk(2, -1) for half in y.chunk(2, -2))
        return torch.cat([torch.cat([a, b], -1), torch.cat([c, d], -1)], -2)

    def __str__(self):
        return self.name


def picture(side=16, mode="L", seed=0):
    """Noise with a bright cross, so that nothing is like anything else."""
    values = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    values[side // 3, :] = values[:, side // 4] = 250
    return Image.fromarray(values if mode == "RGB" else values[..., 0])


def between(view, side=16, before="identity"):
    return change(parse_view(before), parse_view(view) if isinstance(view, str) else view, (1, side, side))


def saved(tmp_path, job, image=None):
    """A file such as sfumato makes."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("sfumato", json.dumps({"schema": SCHEMA, "job": parse_job(job).model_dump(mode="json")}))
    path = tmp_path / f"{job['kind']}.png"
    (image or picture()).save(path, pnginfo=info)
    return path


def anagram(*readings):
    return {
        "kind": "anagram",
        "steps": 2,
        "guidance": 1,
        "readings": [{"prompt": prompt, "view": view} for prompt, view in readings],
    }


HYBRID = {"kind": "hybrid", "steps": 2, "guidance": 1, "far": "0", "near": "3", "sigma": 2}
SIX_NINE = anagram(("6", "identity"), ("9", "rotate:180"))


# What a change of views does, in pieces


@pytest.mark.parametrize("view", VIEWS)
def test_pieces_partition_the_picture_and_go_where_the_view_says(view):
    found = between(view)
    assert sum(piece.area for piece in found.pieces) == 16 * 16
    values = np.arange(1, 257.0).reshape(16, 16)
    expected = np.asarray(parse_view(view)(torch.tensor(values)[None, None])[0, 0])
    there = np.zeros(found.after)
    for k, piece in enumerate(found.pieces):
        rows, columns = np.nonzero(found.labels == k)
        top_left = np.array([piece.top, piece.left])
        assert np.array_equal(np.argwhere(piece.mask) + top_left, np.stack([rows, columns], axis=1))
        to = np.stack([columns, rows], axis=1) - 7.5
        x, y = (to @ piece.matrix.T + piece.shift + 7.5).astype(int).T
        there[y, x] = piece.sign * values[rows, columns]
    assert np.array_equal(there, expected)


@pytest.mark.parametrize(
    ("view", "count"),
    [
        ("identity", 1),
        ("rotate:90", 1),
        ("flip", 1),
        ("negate", 1),
        ("circle:180", 2),
        (Quadrants(), 4),
        ("hinge:4", 16),
    ],
)
def test_there_are_as_many_pieces_as_one_would_cut(view, count):
    assert len(between(view).pieces) == count


def test_a_change_is_between_any_two_views():
    found = between("rotate:270", before="rotate:90")
    (piece,) = found.pieces
    assert np.array_equal(piece.matrix, -np.eye(2))
    assert not piece.shift.any()


def test_a_turn_of_an_oblong_picture_changes_its_sides():
    found = change(parse_view("identity"), parse_view("rotate:90"), (3, 4, 6))
    assert (found.before, found.after, len(found.pieces)) == ((4, 6), (6, 4), 1)


def test_what_mixes_pixels_is_refused():
    with pytest.raises(UsageError, match="more than move pixels"):
        between(Blur(1.0))
    with pytest.raises(UsageError, match="18×18"):
        between("jigsaw", side=18)


# How pieces move


@pytest.mark.parametrize("view", VIEWS)
def test_every_piece_arrives(view):
    for piece in between(view).pieces:
        motion = Motion.of(piece)
        for s, matrix, shift in ((0, np.eye(2), np.zeros(2)), (1, piece.matrix, piece.shift)):
            moved, by = motion.at(s)
            np.testing.assert_allclose(moved, matrix, atol=1e-12)
            np.testing.assert_allclose(by, shift, atol=1e-9)


def test_turns_are_rigid_and_take_the_short_way():
    for view, angle in (("rotate:90", 90), ("rotate:270", -90), ("rotate:180", 180)):
        motion = Motion.of(between(view).pieces[0])
        assert math.degrees(motion.angle) == pytest.approx(angle)
        matrix, shift = motion.at(0.3)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(shift, 0, atol=1e-12)


def test_hinged_tiles_stay_hinged():
    """Neighbouring tiles share a corner all the way."""
    found = between("hinge:2", side=8)
    left, right = found.pieces[:2]
    for s in (0.2, 0.5, 0.9):
        corners = [
            (piece.middle + np.array([[-2, -2], [-2, 2], [2, -2], [2, 2]])) @ matrix.T + shift
            for piece, (matrix, shift) in ((piece, Motion.of(piece).at(s)) for piece in (left, right))
        ]
        apart = np.linalg.norm(corners[0][:, None] - corners[1][None], axis=-1)
        assert apart.min() < 1e-9


def test_what_is_turned_over_goes_through_zero_width():
    motion = Motion.of(between("mirror").pieces[0])
    assert abs(np.linalg.det(motion.at(0.5)[0])) < 0.01
    assert np.linalg.det(motion.at(0.4)[0]) > 0 > np.linalg.det(motion.at(0.6)[0])


def test_a_roll_is_one_belt_and_a_skew_leans():
    rolled = between("roll:dx=0.25:dy=0.375")
    ((belt,), others) = belts(rolled.pieces, rolled.before)
    assert belt.travel.tolist() == [4, 6]
    assert not others
    skewed = between("skew:1.5")
    columns, others = belts(skewed.pieces, skewed.before)
    far = {belt.box[1].start: belt.travel[1] for belt in columns}
    assert far == {x: math.trunc(1.5 * (x - 8)) for x in range(16) if x != 8}
    assert not any(piece.changes for piece in others)


def test_pieces_that_only_change_places_do_not_roll():
    swapped = between(Quadrants())
    assert belts(swapped.pieces, swapped.before)[0] == []


# Scenes


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("view", VIEWS)
def test_stops_are_the_readings_exactly_and_moves_lead_from_one_to_the_next(view, mode):
    image = picture(mode=mode)
    readings = [("a", parse_view("identity")), ("b", parse_view(view))]
    scene = Moves(image, readings, size=64)
    assert scene.zoom == 4
    x = to_tensor(image, None, 3 if mode == "RGB" else 1)[None]
    for stop, (_, seen_through) in enumerate(readings):
        expected = enlarge(to_image(seen(x, seen_through)[0]), 4)
        left, top = scene.corner(scene.readings[stop])
        assert scene.still(stop).crop((left, top, left + 64, top + 64)).tobytes() == expected.tobytes()
    for stop in (0, 1):
        for s, at in ((0, stop), (1, 1 - stop)):
            difference = ImageChops.difference(scene.moving(stop, s), scene.still(at))
            assert np.asarray(difference).max() <= 2
        assert scene.moving(stop, 0.37).size == scene.still(0).size


def test_many_pieces_are_drawn_at_once_and_keep_together(monkeypatch):
    readings = [("a", parse_view("identity")), ("b", parse_view("permute:4"))]
    apart = Moves(picture(), readings, size=64)
    monkeypatch.setattr("sfumato.app.animate.act.MANY", 3)
    at_once = Moves(picture(), readings, size=64)
    assert apart.acts[0].sprites
    assert not at_once.acts[0].sprites
    for s, stop in ((0, 0), (1, 1)):
        assert at_once.moving(0, s).tobytes() == at_once.still(stop).tobytes()
    # Half way, to the pixel of the screen, all the same but for smooth edges.
    inside = np.asarray(ImageChops.difference(apart.moving(0, 0.5), at_once.moving(0, 0.5)))
    assert np.median(inside) == 0


def test_a_change_of_sign_goes_through_grey():
    scene = Moves(picture(), [("a", parse_view("identity")), ("b", parse_view("negate"))], size=64)
    left, top = scene.corner(scene.readings[0])
    middle = np.asarray(scene.moving(0, 0.5).crop((left, top, left + 64, top + 64)))
    assert middle[8:-8, 8:-8].min() >= 127
    assert middle[8:-8, 8:-8].max() <= 128


def test_nothing_leaves_the_frame():
    """A white picture on the dark ground never touches the border."""
    white = Image.new("L", (16, 16), 255)
    for view in ("rotate:90", "jigsaw", "hinge:4", "permute:4", "flip", "circle"):
        scene = Moves(white, [("a", parse_view("identity")), ("b", parse_view(view))], size=64)
        for s in np.linspace(0.05, 0.95, 10):
            frame = np.asarray(scene.moving(0, s))
            border = np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]])
            assert len(np.unique(border)) == 1, view


def test_a_disc_that_turns_shows_no_holes():
    white = Image.new("L", (32, 32), 255)
    scene = Moves(white, [("a", parse_view("identity")), ("b", parse_view("circle:180"))], size=256)
    left, top = scene.corner(scene.readings[0])
    for s in (0.1, 0.3, 0.7):
        assert np.asarray(scene.moving(0, s).crop((left, top, left + 256, top + 256))).min() > 128


def test_small_pictures_are_enlarged_by_whole_numbers_and_large_ones_made_smaller():
    readings = [("a", parse_view("identity")), ("b", parse_view("flip"))]
    assert Moves(picture(28), readings).zoom == 18  # 504 pixels
    large = Moves(picture(96), readings, size=32)
    assert (large.zoom, large.shrink) == (1, 3)
    assert max(large.still(0).size) < 48
    assert large.still(0).size == large.moving(0, 0.4).size


def test_equal_views_have_nothing_to_move():
    with pytest.raises(UsageError, match="nothing to move"):
        Moves(picture(), [("a", parse_view("flip")), ("b", parse_view("flip"))])


def test_stepping_back_begins_with_the_picture_and_ends_with_the_blur():
    image = picture()
    scene = SteppingBack(image, (0, 1.5), ("near", "far"), size=64)
    large, margin = enlarge(image, 4), scene.margin
    boxes = [(margin, margin, margin + 64, margin + 64), (2 * margin + 64, margin, 2 * margin + 128, margin + 64)]
    for box in boxes:
        assert scene.still(0).crop(box).tobytes() == large.tobytes()
    assert scene.still(1).crop(boxes[1]).tobytes() == large.filter(ImageFilter.GaussianBlur(6)).tobytes()
    small = np.asarray(scene.still(1).crop(boxes[0]))
    assert (small[:24] == small[0, 0]).all(), "from afar it is small"
    assert scene.moving(0, 0.25).tobytes() == scene.moving(1, 0.75).tobytes()


def hybrid(tmp_path, image=None, **job):
    job = {"kind": "hybrid", "steps": 2, "guidance": 1, **job}
    return scene_of(read_illusion(saved(tmp_path, job, image)), size=64)


def test_a_hybrid_of_three_bands_stops_midway(tmp_path):
    scene = hybrid(tmp_path, parts=("0", "3", "8"), factors="triple:1,2")
    assert scene.captions == ("8, from near", "3, from midway", "0, from afar")
    assert scene.distances == [1, 8.5, 16]


def test_a_hybrid_of_colour_goes_from_colour_to_grey(tmp_path):
    image = picture(mode="RGB")
    scene = hybrid(tmp_path, image, parts=("0", "3"), factors="colour")
    assert scene.captions == ("3, in colour", "0, in grey")
    assert scene.still(0).crop((4, 4, 68, 68)).tobytes() == enlarge(image, 4).tobytes()
    grey = np.asarray(scene.still(1))
    assert (grey == grey[..., :1]).all()
    spread = [np.ptp(np.asarray(scene.moving(0, s)).astype(int), axis=-1).mean() for s in (0.2, 0.5, 0.9)]
    assert spread == sorted(spread, reverse=True)


def test_a_hybrid_of_motion_is_seen_still_and_in_motion(tmp_path):
    scene = hybrid(tmp_path, parts=("0", "3"), factors="motion:5")
    assert scene.captions == ("3, still", "0, in motion")
    assert scene.still(0).tobytes() != scene.still(1).tobytes()


def test_the_reference_of_a_hybrid_is_named(tmp_path):
    reference = Picture.of(to_tensor(picture(seed=1), None, 1), "moon.png").model_dump()
    scene = hybrid(tmp_path, parts=("3",), factors="frequency:2", reference=reference)
    assert scene.captions == ("3, from near", "moon, from afar")


def test_what_looks_the_same_in_every_way_is_refused(tmp_path):
    with pytest.raises(UsageError, match="one way to see it"):
        hybrid(tmp_path, parts=("0", "3"), factors="scale:0.5,0.5")


# Films


def test_frames_have_one_size_and_times_add_up():
    scene = Moves(picture(), [("a", parse_view("identity")), ("b", parse_view("flip"))], size=64)
    shown = list(frames(scene, QUICK))
    assert len({frame.image.size for frame in shown}) == 1
    assert all(side % 2 == 0 for side in shown[0].image.size)
    assert [frame.still for frame in shown] == ([True] + [False] * 4) * 2
    assert [frame.milliseconds for frame in shown] == [150, 50, 50, 50, 50] * 2
    with Image.open(io.BytesIO(gif(scene, QUICK))) as film:
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(film)] == [150, 50, 50, 50, 50] * 2
        assert film.info["loop"] == 0
        assert film.size == shown[0].image.size


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_film_is_the_same_each_time_and_grey_stops_are_exact(mode):
    scene = Moves(picture(mode=mode), [("a", parse_view("identity")), ("b", parse_view("jigsaw"))], size=64)
    data = gif(scene, QUICK, note='{"sfumato": 1}')
    assert data == gif(scene, QUICK, note='{"sfumato": 1}')
    with Image.open(io.BytesIO(data)) as film:
        assert film.info["comment"] == b'{"sfumato": 1}'
        if mode == "L":
            for index, frame in enumerate(frames(scene, QUICK)):
                film.seek(index)
                if frame.still:
                    assert film.convert("L").tobytes() == frame.image.tobytes()


def test_a_pace_counts_in_hundredths_of_a_second():
    assert (Pace(3, 1, 20).delay, Pace(3, 1, 20).steps, Pace(3, 1, 20).rest) == (50, 60, 1050)
    assert (Pace(3, 1, 30).delay, Pace(3, 1, 30).steps) == (30, 100)
    assert Pace(0.01, 0, 50).steps == 2


def test_captions_fit_below_the_picture():
    long = "an oil painting of people gathered around a campfire under a sky that is full of stars " * 3
    page = Page((300, 200), (long, "short"))
    lines = wrapped(long, font_of(page.letters), 276, 2)
    assert len(lines) == 2
    assert all(font_of(page.letters).getlength(line) <= 276 for line in lines)
    assert lines[1].endswith("…")
    assert wrapped("café déjà vu", font_of(14), 500, 1) == ["cafe deja vu"]
    with_words, without = (
        page.compose(Image.new("L", (300, 200)), long),
        Page((300, 200), ()).compose(Image.new("L", (300, 200))),
    )
    assert with_words.height > without.height == 200
    assert len(np.unique(np.asarray(with_words)[200:])) > 2, "there is something written"


def test_an_mp4_has_all_of_it():
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    scene = Moves(picture(), [("a", parse_view("identity")), ("b", parse_view("flip"))], size=64)
    data = mp4(scene, QUICK)
    assert data[4:8] == b"ftyp"
    assert ffmpeg.__name__


def test_an_mp4_without_its_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    scene = Moves(picture(), [("a", parse_view("identity")), ("b", parse_view("flip"))], size=64)
    with pytest.raises(UsageError, match=r"sfumato\[video\]"):
        mp4(scene, QUICK)


# The command


def test_the_command_animates_an_anagram_with_its_job(sfumato, tmp_path):
    path = saved(tmp_path, anagram(("2", "identity"), ("5", "flip"), ("7", "rotate:90")))
    done = sfumato("animate", path, "--size", 64, "--seconds", 0.25, "--hold", 0)
    assert done.code == 0, done.err
    made = tmp_path / "anagram-animated.gif"
    assert done.out.strip() == str(made)
    with Image.open(made) as film:
        assert film.n_frames == 15
        assert json.loads(film.info["comment"])["sfumato"]["job"]["readings"][2]["prompt"] == "7"
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".part"] == []


def test_the_command_animates_a_hybrid_and_any_picture_through_views(sfumato, tmp_path, drawing):
    path = saved(tmp_path, HYBRID)
    out = tmp_path / "film.gif"
    assert sfumato("animate", path, "-o", out, "--size", 64, "--seconds", 0.2, "--no-captions").code == 0
    with Image.open(out) as film:
        assert film.size == (128 + 3 * 5 + 1, 64 + 2 * 5)
    done = sfumato("animate", drawing, "--view", "rotate:90", "--view", "negate", "--size", 64, "--seconds", 0.2)
    assert done.code == 0, done.err
    with Image.open(tmp_path / "ring-animated.gif") as film:
        assert film.n_frames == 3 * 4


def test_readings_are_named_after_what_they_show(tmp_path):
    assert scene_of(read_illusion(saved(tmp_path, SIX_NINE))).captions == ("6", "9")
    assert scene_of(read_illusion(saved(tmp_path, HYBRID))).captions == ("3, from near", "0, from afar")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.png"], "there is no such file"),
        (["text.png"], "not a PNG"),
        (["ring.png"], "carries no sfumato job.*--view"),
        (["ring.png", "--view", "spin"], "unknown view"),
        (["ring.png", "--view", "identity"], "nothing to move"),
        (["ring.png", "--view", "hinge:99"], "99"),
        (["generate.png"], "anagrams and hybrids"),
        (["anagram.png", "-o", "film.avi"], r"\.gif or an \.mp4, not \.avi"),
        (["anagram.png", "-o", "film"], "without a suffix"),
        (["anagram.png", "-o", "text.png/film.gif"], "is a file"),
        (["anagram.png", "-o", "folder.gif"], "is a folder"),
        (["own.gif", "--view", "flip", "-o", "own.gif"], "is the picture itself"),
        (["anagram.png", "--fps", "0"], "--fps"),
        (["anagram.png", "--size", "3"], "--size"),
        (["."], "folder"),
    ],
)
def test_odd_requests_are_told_in_one_line(sfumato, tmp_path, drawing, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "folder.gif").mkdir()
    picture().save(tmp_path / "own.gif")
    saved(tmp_path, {"kind": "generate", "steps": 2, "guidance": 1, "prompt": "3"})
    saved(tmp_path, SIX_NINE)
    before = (tmp_path / "own.gif").read_bytes()
    done = sfumato("animate", *arguments)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert re.search(message, done.err), done.err
    assert (tmp_path / "own.gif").read_bytes() == before


def test_a_failure_leaves_no_file(tmp_path, monkeypatch):
    path, out = saved(tmp_path, SIX_NINE), tmp_path / "film.gif"
    monkeypatch.setattr("sfumato.app.animate.film.gif", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        animate(path, out)
    assert not out.exists()
