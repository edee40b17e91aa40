"""Part A, pictures made from pictures: image to image, drawings, inpainting (A1.7 to A1.7.3)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.app.command import command_lines
from sfumato.app.jobs import AnyJob, Edit, Inpaint
from sfumato.app.pictures import Picture
from sfumato.app.report.document import table
from sfumato.app.report.figures import Row, Tile, Verdict
from sfumato.app.tour.drawings import DRAWINGS, half_mask
from sfumato.app.tour.page import Section
from sfumato.app.tour.workshop import Workshop, inputs, listing
from sfumato.evaluation.metrics import ssim

DRAWN_PROMPTS = {"drawn-three": "3", "drawn-smiley": "8", "drawn-house": "6"}
EDIT, EDIT_PROMPTS = "7", ("9", "2")
KEPT, INPAINT_PROMPTS = "3", ("8", "3")


def image_to_image(w: Workshop) -> list[Section]:
    """A1.7: a digit of every class from every start."""
    clean, labels = w.one_of_each()
    images = [w.input(x, f"photo-{label}") for x, label in zip(clean, labels, strict=True)]
    jobs = [_edits(w, image, None) for image in images]
    made = w.make([job for group in jobs for job in group]).reshape(len(images), len(w.size.starts), *clean.shape[1:])
    similar = [float(ssim(made[:, k], clean).mean()) for k in range(len(w.size.starts))]
    same = [w.judged(made[:, k], labels).correct for k in range(len(w.size.starts))]
    shown = list(range(0, len(images), 4))
    rows = [Row(_tiles(w, made[i], images[i], labels[i], labels[i])) for i in shown]
    n = len(images)
    first, last = w.size.starts[0], w.size.starts[-1]
    sees = (
        f"From start {first} the judge still reads the original digit in {same[0]} of {n} results, from start {last} "
        f"in {same[-1]}. The likeness (SSIM) goes from {similar[0]:.2f} to {similar[-1]:.2f}. Nothing is asked for "
        "here: what is not kept is invented. ✓ marks results that are still read as the original digit.",
    )
    head = ["", *(f"start {s}" for s in w.size.starts)]
    cells = [["same digit", *(f"{k} of {n}" for k in same)], ["SSIM", *(f"{s:.2f}" for s in similar)]]
    caption = f"Over one test digit of each class; entries of the list of {w.size.course_steps} times."
    figures = (w.show("A1.7-edits", rows, "Digits from several starts, and the original."),)
    numbers = {
        str(s): {"same_digit": same[k] / n, "ssim": similar[k], "pictures": n} for k, s in enumerate(w.size.starts)
    }
    commands = tuple(command_lines(jobs[i], inputs(images[i])) for i in shown)
    return [Section("A1.7", figures, sees, commands, (table(head, cells, caption),), numbers)]


def drawings(w: Workshop) -> list[Section]:
    """A1.7.1: drawings made in the program, without a prompt and with one."""
    rows, commands, numbers = [], [], {}
    for name, draw in DRAWINGS.items():
        image = w.input(draw(), name)
        for prompt in (None, DRAWN_PROMPTS[name]):
            jobs = _edits(w, image, prompt)
            made = w.make(jobs)
            label = f"{name.removeprefix('drawn-')}, " + ("nothing asked for" if prompt is None else f"as {prompt}")
            rows.append(Row(_tiles(w, made, image, name, prompt), label))
            commands.append(command_lines(jobs, inputs(image)))
            numbers[f"{name} {prompt or 'unconditional'}"] = [read for read, _ in w.readings(made)]
    lines = [
        f"Asked for {prompt}, the {name.removeprefix('drawn-')} is read as one from " + _starts(reads)
        for name, prompt in DRAWN_PROMPTS.items()
        for reads in [
            [s for s, r in zip(w.size.starts, numbers[f"{name} {prompt}"], strict=True) if r == prompt],
        ]
    ]
    sees = ("A late start keeps the drawing, an early one only its coarse forms. " + ". ".join(lines) + ".",)
    figures = (w.show("A1.7.1-drawings", rows, "Drawings by an unsteady hand, drawn in the program."),)
    return [Section("A1.7.1", figures, sees, tuple(commands), (), numbers)]


def inpainting(w: Workshop) -> list[Section]:
    """A1.7.2: the left half made anew, plainly and with RePaint's resampling."""
    photo, mask = w.digit(KEPT), w.input(half_mask(), "mask")
    kept = mask.tensor()[0] == 0
    grey = torch.where(kept, photo.tensor(), torch.full_like(photo.tensor(), 0.35))
    given = [
        Tile(photo.tensor(), f"the digit {KEPT}", "image"),
        Tile(mask.tensor(), "a mask, white on the left half", "mask"),
        Tile(grey, "the digit with its left half greyed out", "to fill"),
    ]
    rows, cells, commands = [Row(given, "given")], [], []
    numbers: dict[str, Any] = {}
    changed = 0
    for prompt in INPAINT_PROMPTS:
        for resample in (1, 3):
            jobs: list[AnyJob] = [
                Inpaint(image=photo, mask=mask, prompt=prompt, resample=resample, jump=5, **{**w.shared, "seed": seed})
                for seed in range(w.seed, w.seed + w.size.fits)
            ]
            made = w.make(jobs)
            changed += sum(int((x[:, kept] != photo.tensor()[:, kept]).sum()) for x in made)
            read = w.readings(made)
            hits = w.judged(made, [prompt] * len(made)).correct
            way = "plain" if resample == 1 else f"RePaint ×{resample}"
            rows.append(Row(_read_tiles(made[:6], read, prompt), f"{prompt}, {way}"))
            cells.append([f"{prompt}, {way}", f"{hits} of {len(read)}"])
            commands.append(command_lines(jobs, inputs(photo), inputs(mask)))
            numbers[f"{prompt} {way}"] = {"read_as_asked": hits / len(read), "pictures": len(read)}
    seen = [f"{hits} ({name})" for name, hits in cells]
    sees = (
        f"The right half of a {KEPT} stays, and a left half grows to it. Read as asked are {listing(seen)}.",
        f"Outside of the mask {changed or 'no'} pixels of {len(cells) * w.size.fits} results differ from the original"
        + (": it is the same, bit for bit." if not changed else "."),
    )
    figures = (w.show("A1.7.2-inpainting", rows, "The left half made anew as asked, from several seeds."),)
    numbers["kept_pixels_changed"] = changed
    chart = table(["asked for", "read as asked"], cells, "Judged inpaintings. RePaint walks every 5 steps three times.")
    return [Section("A1.7.2", figures, sees, tuple(commands), (chart,), numbers)]


def prompted(w: Workshop) -> list[Section]:
    """A1.7.3: from one digit to others."""
    image = w.digit(EDIT)
    rows, commands, lines, numbers = [], [], [], {}
    for prompt in EDIT_PROMPTS:
        jobs = _edits(w, image, prompt)
        made = w.make(jobs)
        rows.append(Row(_tiles(w, made, image, EDIT, prompt), f"{EDIT} to {prompt}"))
        commands.append(command_lines(jobs, inputs(image)))
        read = [r for r, _ in w.readings(made)]
        numbers[f"{EDIT} to {prompt}"] = read
        turned = [s for s, r in zip(w.size.starts, read, strict=True) if r == prompt]
        still = [s for s, r in zip(w.size.starts, read, strict=True) if r == EDIT]
        lines.append(
            f"Asked for {prompt}, the {EDIT} becomes one from "
            + _starts(turned)
            + (f", and stays a {EDIT} from {_starts(still)}" if still else "")
            + "."
        )
    figures = (w.show("A1.7.3-prompted", rows, f"A {EDIT} and what it is asked to become."),)
    return [Section("A1.7.3", figures, tuple(lines), tuple(commands), (), numbers)]


def _edits(w: Workshop, image: Picture, prompt: str | None) -> list[AnyJob]:
    return [Edit(image=image, prompt=prompt, begin=begin, **w.shared) for begin in w.size.starts]


def _starts(starts: list[int]) -> str:
    """`starts 1, 3 and 5`."""
    return f"{'starts' if len(starts) > 1 else 'start'} {listing(starts)}" if starts else "no start"


def _tiles(w: Workshop, made: Float[Tensor, "n c h w"], image: Picture, what: str, expected: str | None) -> list[Tile]:
    """A result for each start, then the original."""
    read = w.readings(made)
    tiles = [
        Tile(x, f"{what} from start {start}, read as {r}", f"{start}", _verdict(r, expected))
        for x, start, (r, _) in zip(made, w.size.starts, read, strict=True)
    ]
    return [*tiles, Tile(image.tensor(), f"the original {what}", "original")]


def _read_tiles(made: Float[Tensor, "n c h w"], read: list[tuple[str, float]], expected: str) -> list[Tile]:
    return [
        Tile(x, f"inpainted, asked for {expected}, read as {r}", f"read {r}", _verdict(r, expected))
        for x, (r, _) in zip(made, read, strict=False)
    ]


def _verdict(read: str, expected: str | None) -> Verdict:
    if expected is None:
        return ""
    return "right" if read == expected else "wrong"
