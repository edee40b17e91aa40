"""What the commands share: options in groups, checks before any work, and the way from jobs to files."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from sfumato.app.defaults import MODEL, model_for
from sfumato.errors import UsageError

if TYPE_CHECKING:
    from sfumato.app.job import Loader, Stage
    from sfumato.app.jobs import AnyJob
    from sfumato.backends.model import Model
    from sfumato.core.loops import Loop
    from sfumato.core.ramps import PlainWeight

Asking = TypeVar("Asking", bound="Sampling")
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, …")]
Dtype = Annotated[str, typer.Option("--dtype", help="Arithmetic in the network: auto, float32, bfloat16 or float16.")]
Memory = Annotated[str, typer.Option("--memory", help="Of large models: auto, low or lowest; the less, the slower.")]
Embeddings = Annotated[
    Path | None, typer.Option("--embeddings", help="Prompts as vectors, from `embed`, in place of a text encoder.")
]
Json = Annotated[bool, typer.Option("--json", help="Say what was made as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the first picture; the next one has the next.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Levels that are visited.")]
Guidance = Annotated[
    str | None,
    typer.Option("--guidance", help="Guidance γ; 1 is none. 4..1 goes from 4 at pure noise to 1 at the picture."),
]


@dataclass(frozen=True)
class Output:
    """Options of every command that makes pictures: where they go, and what is said."""

    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the pictures.")] = Path("out")
    device: Device = "auto"
    memory: Memory = "auto"
    embeddings: Embeddings = None
    json: Json = False
    quiet: Quiet = False

    @functools.cached_property
    def load(self) -> Loader:
        """A function that loads each model once, whether its dtype is said or left to it."""
        from sfumato.backends.registry import dtype_name, load

        loaded: dict[tuple[str, str], Model] = {}

        def load_once(name: str, dtype: str) -> Model:
            if (name, dtype) not in loaded:
                model = load(name, self.device, dtype, memory=self.memory, embeddings=self.embeddings)
                loaded[name, dtype] = loaded[name, dtype_name(model.dtype)] = model
            return loaded[name, dtype]

        return load_once


@dataclass(frozen=True)
class Sampling(Output):
    """Options of every command that samples."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="A name of `models list`, hf:OWNER/REPO, a run directory, or a folder or file of weights. By default "
            f"the bundled one whose classes the prompts are, else {MODEL}.",
        ),
    ] = None
    steps: Steps = None
    way: Annotated[
        str,
        typer.Option("--loop", help="own (the model's), course (strided, no threshold, stops at t = 0) or diffusers."),
    ] = "own"
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="ddpm, ddim, euler, heun or dpmpp-2m; the loop's by default.")
    ] = None
    spacing: Annotated[
        str | None, typer.Option("--spacing", help="Which levels: strided, leading, trailing or linspace.")
    ] = None
    eta: Annotated[float | None, typer.Option("--eta", help="Of ddim: 0 deterministic, 1 ancestral.")] = None
    variance: Annotated[
        str | None, typer.Option("--variance", help="Of ddpm's noise: posterior, forward or learned.")
    ] = None
    guidance: Guidance = None
    negative: Annotated[str | None, typer.Option("--negative", help="What guidance leads away from.")] = None
    threshold: Annotated[str | None, typer.Option("--threshold", help="Of x̂₀: none, static or dynamic.")] = None
    quantile: Annotated[float | None, typer.Option("--quantile", help="Of dynamic thresholding.")] = None
    largest: Annotated[
        float | None, typer.Option("--largest", help="Of dynamic thresholding: divides by no more than this.")
    ] = None
    last_step: Annotated[
        bool | None, typer.Option("--last-step/--no-last-step", help="Go from t = 0 to x₀, or stop at t = 0.")
    ] = None
    seed: Seed = 0
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Pictures of each kind.")] = 1
    larger: Annotated[
        list[str] | None,
        typer.Option("--larger", help="A model that makes the picture larger; again for a further stage."),
    ] = None
    upscale: Annotated[
        int | None,
        typer.Option("--upscale", min=1, help="Make it so many pixels large, by the model's own later stages."),
    ] = None
    noise_level: Annotated[
        list[float] | None,
        typer.Option("--noise-level", help="Time that a later stage's smaller picture is noised to; one a stage."),
    ] = None
    later_steps: Annotated[
        list[int] | None, typer.Option("--later-steps", min=1, help="Levels that a later stage visits; one a stage.")
    ] = None
    later_guidance: Annotated[
        list[str] | None, typer.Option("--later-guidance", help="Guidance of a later stage, also as 4..1; one a stage.")
    ] = None
    dtype: Dtype = "auto"

    @functools.cached_property
    def loaded(self) -> Model:
        """The model."""
        return self.load(self.model or MODEL, self.dtype)

    def asked(self: Asking, prompts: Iterable[str | None], kind: str = "generate") -> Asking:
        """The same options with the model for a kind of job and these prompts where none is named."""
        return self if self.model is not None else dataclasses.replace(self, model=model_for(prompts, kind))

    def jobs(
        self, kind: str, variants: Sequence[dict[str, Any]], steps: int | None = None, seeds: int | None = None
    ) -> list[AnyJob]:
        """A job for each variant and each of `count` seeds; the model's defaults where the user says nothing.

        `steps` is the command's own default; `seeds` takes the place of `count`.
        """
        from sfumato.app.defaults import completed
        from sfumato.app.job import Job
        from sfumato.app.jobs import parse_job

        said = {name: getattr(self, name) for name in Job.model_fields if name != "dtype" and hasattr(self, name)}
        given = {name: value for name, value in said.items() if value is not None}
        if self.guidance is not None:
            given["guidance"] = weight(self.guidance, "--guidance")
        given["larger"] = self._later_stages()
        loop, count = self._loop(), self.count if seeds is None else seeds
        wanted = [
            {"kind": kind, **given, "seed": self.seed + k, **variant} for variant in variants for k in range(count)
        ]
        return [parse_job(completed(fields, self.loaded, loop=loop, steps=steps)) for fields in wanted]

    def _loop(self) -> Loop:
        try:
            return self.loaded.defaults.loop.named(self.way)
        except ValueError as error:
            raise UsageError(str(error)) from error

    def _later_stages(self) -> list[Stage]:
        """What makes the pictures larger, with everything said."""
        from sfumato.app.defaults import later_stages
        from sfumato.app.job import Stage

        wanted = [
            Stage(
                model=name,
                steps=_entry(self.later_steps, index),
                guidance=weight(_entry(self.later_guidance, index), "--later-guidance"),
                noise_level=_entry(self.noise_level, index),
            )
            for index, name in enumerate(self._later_names())
        ]
        stages = later_stages(wanted, self.loaded, self.load, self.dtype)
        for option, given in (
            ("--later-steps", self.later_steps),
            ("--later-guidance", self.later_guidance),
            ("--noise-level", self.noise_level),
        ):
            if len(given or ()) > len(stages):
                raise UsageError(
                    f"{option} is given {len(given or ())} times, and there are {len(stages)} later stages; "
                    "name them with --upscale or --larger"
                )
        return stages

    def _later_names(self) -> Sequence[str]:
        if self.upscale is None:
            return self.larger or ()
        if self.larger:
            raise UsageError("--upscale takes the model's own later stages and --larger names others; give one of them")
        from sfumato.app.defaults import stages_to

        return stages_to(self.upscale, self.loaded, self.load, self.dtype)


def weight(text: str | None, option: str) -> PlainWeight | None:
    """A weight, as an option says it. Raises UsageError for anything but a number, or two with two dots between."""
    from sfumato.core.ramps import read_weight

    try:
        return None if text is None else read_weight(text)
    except ValueError as error:
        raise UsageError(f"{option} {error} (given {text!r})") from error


def _entry(values: Sequence[Any] | None, index: int) -> Any:
    return values[index] if values and index < len(values) else None


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take its last parameter, a group of options such as `Sampling`, as one value.

    Typer sees the fields of the group as options of the command.
    """
    hints = get_type_hints(command, include_extras=True)
    *own, last = inspect.signature(command).parameters.values()
    group = hints[last.name]
    fields = get_type_hints(group, include_extras=True)

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        options = group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})
        command(**values, **{last.name: options})

    parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
    parameters += [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=fields[field.name]
        )
        for field in dataclasses.fields(group)
    ]
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    wrapper.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper


def check_folder(folder: Path) -> None:
    """Raise UsageError, before any work is done, when nothing can be written to a folder."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; give a folder with --out")
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UsageError(f"cannot write to {there}; choose another folder with --out")


@contextmanager
def progress(what: str, total: int, *, silent: bool) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error, when a person is looking; what it yields advances it by one."""
    if silent or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def download_line(*, silent: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A line on stderr for each file: one that counts for a person, one when it begins for a log."""
    last, counts = "", sys.stderr.isatty()

    def show(file: str, done: int, total: int) -> None:
        nonlocal last
        if silent or (file == last and not counts):
            return
        if counts:
            end_of_last = "\n" if last and file != last else "\r"
            sys.stderr.write(f"{end_of_last}{file}: {done / 1e6:.1f} of {total / 1e6:.1f} MB")
        else:
            sys.stderr.write(f"{file}: {total / 1e6:.1f} MB\n")
        sys.stderr.flush()
        last = file

    try:
        yield show
    finally:
        if last and counts:
            sys.stderr.write("\n")
