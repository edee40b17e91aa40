"""The short way from Python: a model, an estimate and some seeds to pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from sfumato.backends.model import Model
from sfumato.core.constraints import Inpaint
from sfumato.core.estimates import Node
from sfumato.core.fit import check_fit
from sfumato.core.loop import Canvas, FromImage, Step
from sfumato.core.loop import steps as walk
from sfumato.core.loops import Loop
from sfumato.core.samplers import SAMPLERS, Sampler
from sfumato.errors import UsageError, one_of


def trace(
    model: Model,
    estimate: Node,
    *,
    seeds: Iterable[int] = (0,),
    steps: int | None = None,
    loop: str | Loop = "own",
    sampler: str | Sampler | None = None,
    image: Float[Tensor, "c h w"] | None = None,
    start: int = 0,
    mask: Float[Tensor, "1 h w"] | None = None,
) -> Iterator[Step]:
    """The steps of sampling one picture for each seed, tensors in the model's pixel range.

    With `image` alone it is an edit, noised to entry `start` of the schedule (SDEdit); with `mask` as well the picture
    is made anew where the mask is 1 and kept exactly elsewhere. `loop` is one of `LOOPS` or a Loop of your own;
    `sampler`, by name or value, takes the place of its own.

    Raises UsageError for an unknown loop, sampler or condition, a count of steps that the schedule does not have, or a
    start past its end.
    """
    if isinstance(sampler, str) and sampler not in SAMPLERS:
        raise one_of("sampler", sampler, tuple(SAMPLERS))
    for query in estimate.queries():
        model.check(query.condition)
    try:
        check_fit(estimate, model.shape, model.shape)
        how = model.defaults.loop.named(loop) if isinstance(loop, str) else loop
        how = replace(how, sampler=sampler) if isinstance(sampler, str) else how
        path = how.path(model.schedule, model.defaults.steps if steps is None else steps)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not 0 <= start < len(path) - 1:
        raise UsageError(f"start {start} is not one of 0 … {len(path) - 2}")
    if mask is not None and image is None:
        raise UsageError("a mask needs the image that it keeps")
    begin = FromImage(image, path[start]) if image is not None and (mask is None or start) else None
    kept = Inpaint(image, mask) if image is not None and mask is not None else None
    tree = how.thresholded(estimate, model.pixel_range)
    canvases = [Canvas(tree, seed, begin, kept) for seed in seeds]
    solver = how.solver() if sampler is None or isinstance(sampler, str) else sampler
    model.prepare(query.condition for query in estimate.queries())
    return walk(model, canvases, path, solver, row_limit=model.row_limit())


def sample(
    model: Model,
    estimate: Node,
    *,
    seeds: Iterable[int] = (0,),
    steps: int | None = None,
    loop: str | Loop = "own",
    sampler: str | Sampler | None = None,
    image: Float[Tensor, "c h w"] | None = None,
    start: int = 0,
    mask: Float[Tensor, "1 h w"] | None = None,
) -> Float[Tensor, "b c h w"]:
    """One picture for each seed, values in [0, 1]: the end of `trace`, which says what the arguments are."""
    how: dict[str, Any] = {"seeds": seeds, "steps": steps, "loop": loop, "sampler": sampler}
    (last,) = deque(trace(model, estimate, **how, image=image, start=start, mask=mask), maxlen=1)
    return model.pictures(last.x)
