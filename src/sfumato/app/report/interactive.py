"""Figures to turn, to walk away from, to step through and to compare by hand; without a script they stand still."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.app.report.figures import Html, Tile, Verdict, cells, data_url, text
from sfumato.app.viewer.elements import ELEMENTS, bundle
from sfumato.core.views import Flip, Mirror, Negate, Rotate, View, parse_view
from sfumato.evaluation.illusions import seen
from sfumato.images import to_image

MOST_GLIDING = 2**14
"""Pixels of a picture that glide one by one when it is rearranged; a larger picture fades."""
AFAR = 32
"""CSS pixels of a picture that is seen from afar."""
MOST_SQUARE = 128
"""Pixels a side up to which each is shown as a square."""
_RIGID = (Flip, Mirror, Rotate, Negate)
"""What a browser does to a picture by itself."""


def turnable(
    picture: Float[Tensor, "c h w"],
    views: Sequence[str],
    captions: Sequence[str],
    caption: str,
    verdicts: Sequence[Verdict] = (),
) -> Html:
    """A picture in [0, 1] that the reader turns from one reading to the next, all of them beside it.

    `captions` say what is to be read through each view, `verdicts` whether a judge does; views that are not sound may
    be shown too. Raises ValueError for a text that is no view and for lists of different lengths.
    """
    _same_length(views=views, captions=captions)
    if verdicts:
        _same_length(views=views, verdicts=verdicts)
    maps = [parse_view(view, unsound=True) for view in views]
    marks: Sequence[Verdict] = verdicts or [""] * len(views)
    tiles = [
        Tile(seen(picture[None], one)[0], f"{name}, {_said(view)}", name, mark)
        for one, view, name, mark in zip(maps, views, captions, marks, strict=True)
    ]
    moves = [_moves(one, picture) for one in maps]
    lists = {"views": views, "captions": captions, "verdicts": verdicts, "moves": moves if any(moves) else []}
    said = {key: _json(values) for key, values in lists.items() if values}
    return _figure("turn", cells(tiles), len(tiles), caption, said | _smooth(picture))


def at_distance(picture: Float[Tensor, "c h w"], far: str, near: str, sigma: float, caption: str) -> Html:
    """A hybrid in [0, 1] that the reader walks away from; `sigma` in pixels is the blur that parts far from near."""
    if not sigma > 0:
        raise ValueError(f"the blur that parts far from near is above 0, not {sigma:g}")
    still = [
        Tile(picture, f"A hybrid: {far} from afar, {near} from near"),
        Tile(picture, "The same, as small as from afar", width=AFAR),
    ]
    about = {"far": far, "near": near, "sigma": f"{sigma:g}"}
    return _figure("distance", cells(still), 2, caption, about | _smooth(picture))


def stepper(
    frames: Sequence[Float[Tensor, "n c h w"]], labels: Sequence[str], row_labels: Sequence[str], caption: str
) -> Html:
    """Steps that the reader walks through; a frame has `n` pictures in [0, 1], named by `row_labels`.

    Raises ValueError for lists of different lengths.
    """
    _same_length(frames=frames, labels=labels)
    _same_length(pictures_in_a_frame=frames[0], row_labels=row_labels)
    strip = to_image(torch.cat([torch.cat(list(frame), dim=-2) for frame in frames], dim=-1))
    alt = f"{len(frames)} steps from left to right, {labels[0]} to {labels[-1]}; rows: {', '.join(row_labels)}"
    still = Html(f'<img class="pixels wide" src="{data_url(strip)}" alt="{text(alt)}">')
    size = {"columns": str(len(frames)), "rows": str(len(row_labels))}
    names = {"labels": _json(labels), "row-labels": _json(row_labels)}
    return _figure("steps", still, 1, caption, size | names | _smooth(frames[0]))


def before_after(
    before: Float[Tensor, "c h w"], after: Float[Tensor, "c2 h2 w2"], labels: tuple[str, str], caption: str
) -> Html:
    """Two pictures in [0, 1] with a divider between them that the reader moves.

    Raises ValueError for pictures that are not of one aspect; their sizes may differ.
    """
    (height, width), (h, w) = before.shape[-2:], after.shape[-2:]
    if height * w != h * width:
        raise ValueError(f"pictures of {width}×{height} and {w}×{h} pixels are not of one aspect")
    still = cells([Tile(picture, label, label) for picture, label in zip((before, after), labels, strict=True)])
    return _figure("compare", still, 2, caption, {"labels": _json(labels)} | _smooth(after))


def script() -> Html:
    """What makes these figures move. A page needs it once; `document` puts it in by itself."""
    return Html(f'<script type="module">\n{bundle()}</script>\n')


def script_for(body: str) -> Html:
    """The script, for a page in which there is such a figure; otherwise nothing."""
    return script() if any(f"<sf-{name} " in body for name in ELEMENTS) else Html("")


def _figure(name: str, still: Html, columns: int, caption: str, attributes: Mapping[str, str]) -> Html:
    """An element around what is to be seen without it."""
    said = "".join(f' {key}="{text(value)}"' for key, value in attributes.items())
    element = f'<sf-{name}{said} style="--columns:{columns}">{still}</sf-{name}>'
    return Html(f'<figure class="live">{element}<figcaption>{text(caption)}</figcaption></figure>')


def _smooth(picture: Float[Tensor, "*n c h w"]) -> dict[str, str]:
    return {"smooth": ""} if max(picture.shape[-2:]) > MOST_SQUARE else {}


def _said(view: str) -> str:
    return "as it is" if view == "identity" else f"seen through {view}"


def _moves(view: View, picture: Float[Tensor, "c h w"]) -> str:
    """Where each pixel that is seen comes from, as base64; empty where nobody need be told or too many would move."""
    height, width = picture.shape[-2:]
    if all(isinstance(part, _RIGID) for part in view.parts) or not view.sound or height * width > MOST_GLIDING:
        return ""
    numbers = torch.arange(1, height * width + 1, dtype=torch.float64).view(1, 1, height, width)
    sources = view(numbers).abs() - 1  # a view may negate what it moves
    return base64.b64encode(sources.flatten().numpy().astype(np.dtype("<u2")).tobytes()).decode()


def _same_length(**lists: Sequence[object] | Tensor) -> None:
    (one, first), (other, second) = lists.items()
    if len(first) != len(second):
        raise ValueError(f"there are {len(first)} {one.replace('_', ' ')} and {len(second)} {other.replace('_', ' ')}")


def _json(values: Sequence[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False)
