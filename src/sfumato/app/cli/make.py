"""Commands that make pictures: generate, edit, denoise, inpaint, anagram, hybrid, upscale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sfumato.app.cli.common import Sampling, expand, make_pictures
from sfumato.errors import UsageError

COURSE_STEPS = 34
"""Levels of the strided schedule of the course: 990, 960, …, 0 of 1000, that its i_start counts in."""

Image = Annotated[Path, typer.Argument(help="A PNG, JPEG, WebP or GIF file.")]
Invert = Annotated[bool, typer.Option("--invert", help="Take the negative: for dark drawings on light paper.")]
Prompt = Annotated[str | None, typer.Option("--prompt", help="A class of the model, such as 3; nothing without.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (generate, edit, denoise, inpaint, anagram, hybrid, upscale):
        app.command()(expand(command))


def generate(
    prompts: Annotated[list[str] | None, typer.Argument(help="Classes, such as 3 8; anything without.")] = None,
    *,
    options: Sampling,
) -> None:
    """Make pictures from noise: `sfumato generate 3 8 -n 4`."""
    variants = [{"prompt": prompt} for prompt in (prompts or [None])]  # type: ignore[list-item]
    columns = options.count if prompts and options.count > 1 else None
    make_pictures(options.jobs("generate", variants), options, columns)


def edit(
    image: Image,
    prompt: Prompt = None,
    start: Annotated[str, typer.Option("--start", help="Entries of the schedule to begin at.")] = "1,3,5,7,10,20",
    invert: Invert = False,
    *,
    options: Sampling,
) -> None:
    """Noise a picture and denoise it again (SDEdit), from several starts: a small start changes more."""
    from sfumato.app.pictures import read_picture

    picture = read_picture(image, options.loaded.shape, invert=invert)
    starts = _numbers(start, "--start", int)
    variants = [{"image": picture, "prompt": prompt, "begin": begin} for begin in starts]
    columns = options.count if options.count > 1 else len(starts)
    make_pictures(options.jobs("edit", variants, COURSE_STEPS), options, columns)


def denoise(
    image: Image,
    t: Annotated[str, typer.Option("--t", help="Times to noise the picture to.")] = "75,150,225",
    prompt: Prompt = None,
    sigma: Annotated[float, typer.Option("--sigma", help="Of the Gaussian blur, in pixels.")] = 1.0,
    invert: Invert = False,
    *,
    options: Sampling,
) -> None:
    """Noise a picture, and clean it by blur, in one step and iteratively, side by side."""
    from sfumato.app.pictures import read_picture

    picture = read_picture(image, options.loaded.shape, invert=invert)
    methods = ["noised", "blur", "one-step"]
    if options.loaded.most_steps > 1:  # a one-step denoiser has nothing to iterate on
        methods.append("iterative")
    shared = {"image": picture, "prompt": prompt, "sigma": sigma}
    variants = [{**shared, "t": time, "method": method} for time in _numbers(t, "--t", float) for method in methods]
    make_pictures(
        options.jobs("denoise", variants, COURSE_STEPS), options, len(methods) if options.count == 1 else None
    )


def inpaint(
    image: Image,
    mask: Annotated[Path, typer.Option("--mask", help="White where the picture is made anew, black where it is kept.")],
    prompt: Prompt = None,
    resample: Annotated[int, typer.Option("--resample", min=1, help="RePaint: walks of each stretch.")] = 1,
    jump: Annotated[int, typer.Option("--jump", min=1, help="RePaint: steps in a stretch.")] = 5,
    invert: Invert = False,
    *,
    options: Sampling,
) -> None:
    """Make part of a picture anew; every pixel outside the mask stays exactly as it is."""
    from sfumato.app.pictures import read_mask, read_picture

    variant = {
        "image": read_picture(image, options.loaded.shape, invert=invert),
        "mask": read_mask(mask, image, options.loaded.shape),
        "prompt": prompt,
        "resample": resample,
        "jump": jump,
    }
    make_pictures(options.jobs("inpaint", [variant], COURSE_STEPS), options)


def anagram(
    prompts: Annotated[list[str], typer.Argument(help="What each view shows, such as 6 9.")],
    view: Annotated[
        list[str] | None,
        typer.Option("--view", help="One for each prompt: identity, flip, mirror, rotate:90|180|270, negate, or a+b."),
    ] = None,
    *,
    options: Sampling,
) -> None:
    """Hide several pictures in one: `sfumato anagram 6 9 --view identity --view rotate:180`."""
    views = view or ["identity", "rotate:180"]
    if len(views) != len(prompts):
        raise UsageError(f"{len(prompts)} prompts and {len(views)} views; give one --view for each prompt")
    readings = [{"prompt": prompt, "view": name} for prompt, name in zip(prompts, views, strict=True)]
    make_pictures(options.jobs("anagram", [{"readings": readings}]), options)


def hybrid(
    far: Annotated[str, typer.Argument(help="What is seen from far away.")],
    near: Annotated[str, typer.Argument(help="What is seen from near.")],
    sigma: Annotated[
        float | None,
        typer.Option("--sigma", help="Of the blur that parts the two, in pixels; the model's own by default."),
    ] = None,
    *,
    options: Sampling,
) -> None:
    """One picture that is one thing from afar and another from near: `sfumato hybrid 0 3`."""
    width = options.loaded.defaults.hybrid_sigma if sigma is None else sigma
    make_pictures(options.jobs("hybrid", [{"far": far, "near": near, "sigma": width}]), options)


def upscale(image: Image, prompt: Prompt = None, *, options: Sampling) -> None:
    """Make a picture larger by a model that was trained to: the later stage of a cascade."""
    from sfumato.app.pictures import read_picture
    from sfumato.images import read_image

    model = options.loaded
    if model.low_res is None:
        raise UsageError(f"model {model.name} makes no picture larger")
    size = model.small_size(min(read_image(image).size))
    levels = options.noise_level or []
    variant = {
        "image": read_picture(image, (model.picture_shape[0], size, size)),
        "prompt": prompt,
        "noise_level": next(iter(levels), None),
        "noise_levels": levels[1:],
    }
    make_pictures(options.jobs("upscale", [variant]), options)


def _numbers(text: str, option: str, kind: type[int] | type[float]) -> list[Any]:
    try:
        numbers = [kind(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} wants numbers with commas between them, not {text!r}") from error
    if len(set(numbers)) != len(numbers):
        raise UsageError(f"{option} {text} names a number twice")
    return numbers
