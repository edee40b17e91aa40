"""Commands that make pictures: generate, edit, denoise, inpaint, anagram, hybrid, upscale."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.app.cli.common import Sampling, expand, weight
from sfumato.app.cli.making import Searching, make, make_pictures
from sfumato.app.defaults import COURSE_STEPS, JUMP, STARTS, VIEWS
from sfumato.errors import UsageError

if TYPE_CHECKING:
    from sfumato.app.run import Result

Image = Annotated[Path, typer.Argument(help="A PNG, JPEG, WebP or GIF file.")]
Invert = Annotated[bool, typer.Option("--invert", help="Take the negative: for dark drawings on light paper.")]
Prompt = Annotated[str | None, typer.Option("--prompt", help="A prompt, or a class such as 3; nothing without.")]


Photo = Annotated[Path | None, typer.Option("--image", help="A picture to begin from (--start) or to keep (--mask).")]
Start = Annotated[str | None, typer.Option("--start", help="Entries of the schedule to begin at, from --image.")]
Mask = Annotated[Path | None, typer.Option("--mask", help="White where --image is made anew, black where it is kept.")]
Resample = Annotated[int, typer.Option("--resample", min=1, help="RePaint: walks of each stretch.")]
Jump = Annotated[int, typer.Option("--jump", min=1, help="RePaint: steps in a stretch.")]
_STARTS = ",".join(map(str, STARTS))


@dataclasses.dataclass(frozen=True)
class Beginning(Searching):
    """Options of illusions that may begin from a picture, or be made inside a mask of one."""

    image: Photo = None
    start: Start = None
    mask: Mask = None
    resample: Resample = 1
    jump: Jump = JUMP
    invert: Invert = False

    @property
    def own_steps(self) -> int | None:
        """Where a command begins from a picture its starts count in the schedule of the course."""
        return None if self.image is None else COURSE_STEPS

    def origins(self) -> list[dict[str, Any]]:
        """What a job is told of where it comes from, for each start."""
        return _origins(self, self.image, self.start, self.mask, self.resample, self.jump, invert=self.invert)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (generate, edit, denoise, inpaint, anagram, hybrid, regions, panorama, upscale):
        app.command()(expand(command))


def generate(
    prompts: Annotated[list[str] | None, typer.Argument(help="Prompts, or classes such as 3.")] = None,
    *,
    options: Searching,
) -> None:
    """Make pictures from noise: `sfumato generate 3 8 -n 4`."""
    options = options.asked(prompts or [])
    variants = [{"prompt": prompt} for prompt in (prompts or [None])]  # type: ignore[list-item]
    columns = options.count if prompts and options.count > 1 else None
    make("generate", variants, options, columns=columns)


def edit(
    image: Image,
    prompt: Prompt = None,
    start: Annotated[str, typer.Option("--start", help="Entries of the schedule to begin at.")] = _STARTS,
    mask: Annotated[Path | None, typer.Option("--mask", help="Edit only where it is white.")] = None,
    invert: Invert = False,
    *,
    options: Searching,
) -> None:
    """Noise a picture and denoise it again (SDEdit), from several starts: a small start changes more."""
    options = options.asked([prompt])
    origins = _origins(options, image, start, mask, invert=invert)
    columns = options.count if options.count > 1 else len(origins)
    make("edit", [{**origin, "prompt": prompt} for origin in origins], options, COURSE_STEPS, columns, _fidelity)


def denoise(
    image: Image,
    t: Annotated[
        str | None, typer.Option("--t", help="Times to noise the picture to; quarters of the schedule without.")
    ] = None,
    prompt: Prompt = None,
    sigma: Annotated[float, typer.Option("--sigma", help="Of the Gaussian blur, in pixels.")] = 1.0,
    invert: Invert = False,
    *,
    options: Sampling,
) -> None:
    """Noise a picture, and clean it by blur, in one step and iteratively, side by side."""
    from sfumato.app.defaults import denoise_methods, noised_times
    from sfumato.app.pictures import read_picture

    options = options.asked([prompt])
    picture = read_picture(image, options.loaded.shape, invert=invert)
    methods = denoise_methods(options.loaded)
    shared = {"image": picture, "prompt": prompt, "sigma": sigma}
    times = noised_times(options.loaded) if t is None else _numbers(t, "--t", float)
    variants = [{**shared, "t": time, "method": method} for time in times for method in methods]
    make_pictures(
        options.jobs("denoise", variants, COURSE_STEPS), options, len(methods) if options.count == 1 else None
    )


def inpaint(
    image: Image,
    mask: Annotated[Path, typer.Option("--mask", help="White where the picture is made anew, black where it is kept.")],
    prompt: Prompt = None,
    resample: Resample = 1,
    jump: Jump = 5,
    invert: Invert = False,
    *,
    options: Searching,
) -> None:
    """Make part of a picture anew; every pixel outside the mask stays exactly as it is."""
    options = options.asked([prompt])
    (origin,) = _origins(options, image, None, mask, resample, jump, invert=invert)
    make("inpaint", [{**origin, "prompt": prompt}], options, COURSE_STEPS)


def anagram(
    prompts: Annotated[list[str], typer.Argument(help="What each view shows, such as 6 9.")],
    view: Annotated[
        list[str] | None,
        typer.Option("--view", help="One for each prompt, such as flip or rotate:90+negate; see `views list`."),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option("--weight", help="How much each reading counts; 2..0.5 goes from noise to picture."),
    ] = None,
    view_guidance: Annotated[
        list[str] | None, typer.Option("--view-guidance", help="Guidance of each reading; 9..3 goes likewise.")
    ] = None,
    *,
    options: Beginning,
) -> None:
    """Hide several pictures in one: `sfumato anagram 6 9 --view identity --view rotate:180`."""
    options = options.asked(prompts)
    views = view or VIEWS
    if len(views) != len(prompts):
        raise UsageError(f"{len(prompts)} prompts and {len(views)} views; give one --view for each prompt")
    readings = _readings(prompts, views, weight, view_guidance)
    origins = options.origins()
    make("anagram", [{**origin, "readings": readings} for origin in origins], options, options.own_steps)


def hybrid(
    prompts: Annotated[list[str], typer.Argument(help="One for each component, what is seen from far away first.")],
    kind: Annotated[
        str,
        typer.Option("--kind", help="frequency[:σ], triple[:σ,σ], colour, motion[:width] or scale:w,w."),
    ] = "frequency",
    sigma: Annotated[
        float | None,
        typer.Option("--sigma", help="Of the blur that parts far from near, in pixels; the model's own by default."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="A picture whose own first component is kept.")
    ] = None,
    *,
    options: Beginning,
) -> None:
    """One picture that is one thing from afar and another from near: `sfumato hybrid 0 3`."""
    from sfumato.app.defaults import factors
    from sfumato.app.pictures import read_picture

    options = options.asked(prompts)
    parts: dict[str, Any] = {"parts": prompts, "factors": factors(kind, options.loaded, sigma)}
    if reference is not None:
        parts["reference"] = read_picture(reference, options.loaded.shape)
    origins = options.origins()
    make("hybrid", [{**origin, **parts} for origin in origins], options, options.own_steps)


def regions(
    prompts: Annotated[list[str], typer.Argument(help="One for each mask, and one more for the rest if you like.")],
    mask: Annotated[list[Path], typer.Option("--mask", help="White where the prompt of the same place is drawn.")],
    *,
    options: Searching,
) -> None:
    """A prompt for each region: `sfumato regions 3 8 --mask left.png --mask right.png`."""
    from sfumato.app.pictures import read_mask

    options = options.asked(prompts)
    if len(prompts) - len(mask) not in {0, 1}:
        raise UsageError(
            f"{len(prompts)} prompts and {len(mask)} masks; give one --mask for each, or for all but the last"
        )
    pictures = [read_mask(path, path, options.loaded.shape) for path in mask]
    parts = [{"prompt": prompt, "mask": picture} for prompt, picture in zip(prompts, pictures, strict=False)]
    rest = prompts[-1] if len(prompts) > len(mask) else None
    make("regions", [{"regions": parts, "rest": rest}], options)


def panorama(
    prompt: Annotated[str | None, typer.Argument(help="What it is of; anything without.")] = None,
    size: Annotated[str, typer.Option("--size", help="WIDTHxHEIGHT in pixels, no smaller than the model's.")] = "",
    overlap: Annotated[float, typer.Option("--overlap", help="Of crops, the least share that the next repeats.")] = 0.5,
    *,
    options: Searching,
) -> None:
    """A picture larger than the model, of any aspect: `sfumato panorama 3 --size 84x28`."""
    from sfumato.app.defaults import panorama_size

    options = options.asked([prompt])
    wide, _, high = (size or "{}x{}".format(*panorama_size(options.loaded))).partition("x")
    if not (wide.isdecimal() and high.isdecimal()):
        raise UsageError(f"--size wants WIDTHxHEIGHT, such as 192x64, not {size!r}")
    canvas = {"prompt": prompt, "width": int(wide), "height": int(high), "overlap": overlap}
    make("panorama", [canvas], options)


def upscale(image: Image, prompt: Prompt = None, *, options: Sampling) -> None:
    """Make a picture larger by a model that was trained to: the later stage of a cascade."""
    from sfumato.app.defaults import small_level, small_shape
    from sfumato.app.pictures import read_picture
    from sfumato.images import read_image

    options = options.asked([prompt], "upscale")
    model = options.loaded
    own = small_level(model)
    levels = options.noise_level or [own]
    options = dataclasses.replace(options, noise_level=levels[1:])
    small = read_picture(image, small_shape(model, min(read_image(image).size)))
    variant = {"image": small, "prompt": prompt, "noise_level": levels[0]}
    make_pictures(options.jobs("upscale", [variant]), options)


def _readings(
    prompts: Sequence[str], views: Sequence[str], weights: Sequence[str] | None, guidances: Sequence[str] | None
) -> list[dict[str, Any]]:
    """Of an anagram; views in the form that needs no file."""
    from sfumato.core.views import parse_view

    readings: list[dict[str, Any]] = []
    for prompt, name in zip(prompts, views, strict=True):
        try:
            readings.append({"prompt": prompt, "view": str(parse_view(name))})
        except ValueError as error:
            raise UsageError(f"--view: {error}") from error
    for key, option, given in (("weight", "--weight", weights), ("guidance", "--view-guidance", guidances)):
        if given and len(given) != len(readings):
            raise UsageError(f"{len(prompts)} prompts and {len(given)} of {option}; give one for each prompt")
        for reading, text in zip(readings, given or (), strict=False):
            reading[key] = weight(text, option)
    return readings


def _fidelity(results: Sequence[Result]) -> tuple[list[str], dict[str, Any]]:
    """What edits kept of their picture, by start."""
    from sfumato.app.fidelity import fidelity, table

    rows = fidelity(results)
    return table(rows), {"fidelity": [row.to_dict() for row in rows]}


def _origins(
    options: Sampling,
    image: Path | None,
    start: str | None,
    mask: Path | None,
    resample: int = 1,
    jump: int = JUMP,
    *,
    invert: bool = False,
) -> list[dict[str, Any]]:
    """What a job is told of the picture that it comes from, for each start; one that knows of none without."""
    from sfumato.app.pictures import read_mask, read_picture

    if image is None:
        if start is not None or mask is not None or invert:
            raise UsageError("--start, --mask and --invert are about a picture; give one with --image")
        return [{}]
    if start is None and mask is None:
        raise UsageError("say where to begin from the picture, --start 10, or what to make anew of it, --mask FILE")
    shape = options.loaded.shape
    origin: dict[str, Any] = {"image": read_picture(image, shape, invert=invert)}
    if mask is not None:
        origin |= {"mask": read_mask(mask, image, shape), "resample": resample, "jump": jump}
    elif resample > 1:
        raise UsageError("--resample is for what a mask keeps; give one with --mask")
    return [{**origin, "begin": begin} for begin in _numbers(start, "--start", int)] if start is not None else [origin]


def _numbers(text: str, option: str, kind: type[int] | type[float]) -> list[Any]:
    try:
        numbers = [kind(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} wants numbers with commas between them, not {text!r}") from error
    if len(set(numbers)) != len(numbers):
        raise UsageError(f"{option} {text} names a number twice")
    return numbers
