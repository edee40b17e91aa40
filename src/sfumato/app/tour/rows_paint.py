"""Part A, inpainting (A1.7.2): half of a picture made anew, plainly and with RePaint's resampling."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sfumato.app.defaults import JUMP
from sfumato.app.jobs import Inpaint
from sfumato.app.report.document import table
from sfumato.app.report.figures import Html, Row, Tile, side_by_side
from sfumato.app.report.interactive import before_after
from sfumato.app.tour.drawings import half_mask
from sfumato.app.tour.inputs import Input
from sfumato.app.tour.page import Measured, Section
from sfumato.app.tour.reader import Read
from sfumato.app.tour.workshop import Workshop, listing

KEPT = "3"
"""The digit whose half stays."""
RESAMPLED = 3
"""How often RePaint walks each stretch."""


def inpainting(w: Workshop) -> list[Section]:
    """A1.7.2: the lower half of a picture made anew as several things; of the user's own picture as well."""
    s = w.subject
    if not s.iterates:
        return []
    mask = w.put(half_mask(w.model.shape), "mask")
    kept = mask.tensor()[0] == 0
    photo = s.picture(KEPT)
    rows = [Row(_given(photo, mask.tensor(), kept), "given")]
    cells, commands, compared = [], [], []
    numbers: dict[str, Any] = {}
    changed = pixels = 0
    for one in [photo, *([s.own] if s.own else [])]:
        image = w.input(one)
        for prompt in dict.fromkeys(s.prompts.paints or (s.prompts.nothing,)):
            for resample in (1, RESAMPLED) if one is photo else (1,):
                jobs = [
                    w.course(
                        Inpaint, image=image, mask=mask, prompt=prompt, resample=resample, jump=JUMP, seed=w.seed + k
                    )
                    for k in range(w.size.fits)
                ]
                made = w.make(jobs)
                changed += _changed(made, image.tensor(), kept)
                pixels += len(made) * int(kept.sum())
                reader = w.reader([prompt])
                read = reader.read(made)
                way = "plain" if resample == 1 else f"RePaint ×{resample}"
                name = f"{prompt or 'nothing asked for'}, {way}"
                name = name if one is photo else f"your picture, {name}"
                rows.append(Row(_tiles(made[:6], read, prompt), name))
                numbers[name] = {"pictures": len(read)}
                if reader.reads:
                    hits = reader.count(made, [prompt] * len(made))
                    cells.append([name, f"{hits} of {len(read)}"])
                    numbers[name]["read_as_asked"] = hits / len(read)
                commands.append(w.command(jobs))
                if resample == 1:
                    compared.append(_compare(one, made, read, prompt))
    sees = ["The upper half stays, and a lower half grows to it."]
    if cells:
        sees[0] += f" Read as asked are {listing([f'{hits} ({name})' for name, hits in cells])}."
    sees.append(
        f"Outside of the mask {changed or 'no'} of {pixels:,} pixels differ from the original".replace(",", "\u202f")
        + (": it is the same, bit for bit." if not changed else ".")
    )
    measured = [Measured(str(changed), f"of {pixels:,} pixels outside the mask differ".replace(",", "\u202f"))]
    figures = (
        side_by_side(compared),
        w.show("A1.7.2-inpainting", rows, "The lower half made anew, from several seeds."),
    )
    numbers["kept_pixels_changed"] = changed
    caption = f"Judged inpaintings. RePaint walks every {JUMP} steps {RESAMPLED} times."
    tables = (table(["asked for", "read as asked"], cells, caption),) if cells else ()
    return [Section("A1.7.2", figures, tuple(sees), tuple(measured), tuple(commands), tables, numbers)]


def _changed(made: Float[Tensor, "n c h w"], original: Float[Tensor, "c h w"], kept: Bool[Tensor, "h w"]) -> int:
    """How many of the kept pixels differ from the original, in any of the 256 levels that a picture has."""
    differ = (255 * made).round() != (255 * original).round()
    return int((differ.any(dim=1) & kept).sum())


def _given(photo: Input, mask: Float[Tensor, "1 h w"], kept: Tensor) -> list[Tile]:
    grey = torch.where(kept, photo.picture, torch.full_like(photo.picture, 0.35))
    return [
        Tile(photo.picture, photo.what, "image"),
        Tile(mask.expand_as(photo.picture), "a mask, white on the lower half", "mask"),
        Tile(grey, f"{photo.what} with its lower half greyed out", "to fill"),
    ]


def _tiles(made: Float[Tensor, "n c h w"], read: list[Read], prompt: str | None) -> list[Tile]:
    said = f"inpainted, asked for {prompt}" if prompt else "inpainted, with nothing asked for"
    return [
        Tile(x, r.after(said), f"read {r.name}" if r.name else "", r.verdict(prompt))
        for x, r in zip(made, read, strict=False)
    ]


def _compare(one: Input, made: Float[Tensor, "n c h w"], read: list[Read], prompt: str | None) -> Html:
    """The original and one that came out as asked, or else the first, under a divider to be dragged."""
    best = next((k for k, r in enumerate(read) if r.verdict(prompt) == "right"), 0)
    after = prompt or "made anew"
    said = read[best].after(f"The lower half of {one.what}, made anew" + (f" as {prompt}" if prompt else ""))
    return before_after(one.picture, made[best], (one.what, after), f"{said}.")
