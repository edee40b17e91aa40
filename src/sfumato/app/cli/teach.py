"""Commands that teach: train, evaluate, tour."""

from __future__ import annotations

import contextlib
import json as json_module
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.app.cli import common as c
from sfumato.app.defaults import MODEL, SCRATCH
from sfumato.errors import Stopped, UsageError

if TYPE_CHECKING:
    from sfumato.app.tour import Subject
    from sfumato.backends.model import Model
    from sfumato.training.data import ImageData
    from sfumato.training.datasets.captioned import CaptionedData

Data = Annotated[
    str | None,
    typer.Option("--data", help="A name that `sfumato data list` gives, or a folder of pictures, classes or captions."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (train, judge, evaluate, tour):
        app.command()(command)


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(help="denoiser, pure-noise, time, class, flow, text, upsample, or a .toml file."),
    ] = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The run directory; runs/RECIPE by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, bit for bit.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write for TensorBoard, into the run.")] = False,
    like: Annotated[Path | None, typer.Option("--like", help="A run whose recipe and data to take.")] = None,
    init: Annotated[
        str | None, typer.Option("--init", help="Begin with the weights of a model: a bundled one, a run, a file.")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="A number of the recipe: epochs=5.")] = None,
    device: c.Device = "auto",
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Train a diffusion model from scratch: `sfumato train class --data mnist --set epochs=5`."""
    from sfumato.app.live import check_tensorboard
    from sfumato.app.training import begin, follow, resume_run
    from sfumato.training.directory import RunDirectory
    from sfumato.training.distributed import leave
    from sfumato.training.recipe import load_recipe, packaged_recipes, parse_settings

    def warn(line: str) -> None:
        if not quiet:
            typer.echo(line, err=True)

    check_tensorboard(tensorboard)
    if resume:
        if settings or data or like or init:
            raise UsageError(
                "--resume goes on with the run's own recipe and data; leave --set, --data, --init and --like out"
            )
        if recipe is None and out is None:
            raise UsageError("say which run to go on with: sfumato train --resume --out RUN")
        trainer, run = resume_run(out or Path("runs") / str(recipe), device, warn)
    else:
        if (recipe is None) == (like is None):
            known = f"one of {', '.join(packaged_recipes())}, or a .toml file"
            raise UsageError(f"say what to train, once: {known}; or --like RUN")
        changes = parse_settings(settings or [])
        if data is not None:
            changes["data"] = data
        if init is not None:
            changes["init"] = init
        same = load_recipe(recipe) if recipe is not None else RunDirectory(like or Path()).recipe()
        chosen = same.with_changes(changes)
        folder = out or Path("runs") / chosen.name
        c.check_folder(folder)
        trainer, run = begin(folder, chosen, device, warn)
    command = f"sfumato train --resume --out {run.path}"
    with _Interrupt() as interrupt:
        done = follow(run, trainer, stop=interrupt, quiet=quiet or json, tensorboard=tensorboard, warn=warn)
    leave()
    if not trainer.processes.first:
        return
    if not done:
        raise Stopped(f"stopped after step {trainer.step} of {trainer.total_steps}; go on with: {command}")
    result = json_module.loads(run.result_file.read_text(encoding="utf-8"))
    if json:
        typer.echo(json_module.dumps({"run": str(run.path), **result}))
    elif not quiet:
        typer.echo(f"{run.path}: {result['steps']} steps, loss {result['loss']:.5f}")
        for name, digest in result["sha256"].items():
            typer.echo(f"  {name:<9} {digest}")
        typer.echo(f"look at it: {run.path / 'report.html'}; use it: --model {run.path}")


def judge(
    run: Annotated[Path, typer.Argument(help="A run whose pictures are in classes.")],
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Times that it sees the pictures; enough of them by default.")
    ] = None,
    seed: c.Seed = 0,
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Train a judge that reads the classes of a run: RUN/judge.safetensors, which evaluate then takes."""
    from sfumato.app.judging import judge_file, train_judge_of
    from sfumato.evaluation.judge import save_judge

    def say(line: str) -> None:
        if not (quiet or json):
            typer.echo(line, err=True)

    trained, report = train_judge_of(run, epochs, seed, say)
    path = judge_file(run)
    save_judge(path, trained)
    if json:
        typer.echo(json_module.dumps({"judge": str(path), "accuracy": trained.facts["test_accuracy"]}))
    elif not quiet:
        typer.echo(f"{report}\n{path}: sfumato evaluate {run} takes it; elsewhere say --judge {path}")


def evaluate(
    model: Annotated[str, typer.Argument(help="A bundled model, a run directory, or a .safetensors file.")] = "digits",
    data: Data = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Samples to judge, or pictures to denoise.")] = 200,
    steps: c.Steps = None,
    guidance: c.Guidance = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="ddpm, ddim, euler, heun or dpmpp-2m; the model's by default.")
    ] = None,
    seed: c.Seed = 0,
    anagrams: Annotated[bool, typer.Option("--anagrams", help="Judge pairs upright and under --view.")] = False,
    view: Annotated[
        list[str] | None, typer.Option("--view", help="Of the anagrams: rotate:180 by default; again for further ones.")
    ] = None,
    hybrids: Annotated[bool, typer.Option("--hybrids", help="Judge pairs near and far.")] = False,
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="Pairs of subjects; of classes all are judged.")] = 20,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds for each pair.")] = 20,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            "--sweep", help="Judge samples at several values: guidance=1,2,4..1, steps=5,10 or sampler=ddpm,heun."
        ),
    ] = None,
    judge: Annotated[
        Path | None,
        typer.Option("--judge", help="A file of a judge of classes; that of the run by default, or the bundled."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for all that was measured, with charts of the sweeps.")
    ] = None,
    device: c.Device = "auto",
    dtype: c.Dtype = "float32",
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Measure a model: judged accuracy of samples, success of illusions; with --data denoising and Fréchet distance."""
    from sfumato.app.evaluate import Wanted, evaluate_model, format_evaluation
    from sfumato.app.judging import judge_file
    from sfumato.app.sweep import parse_sweep, sweep_page
    from sfumato.backends.registry import load
    from sfumato.evaluation.judge import read_judge
    from sfumato.files import write_text

    sweeps = tuple(parse_sweep(words) for words in sweep or ())
    own = judge_file(Path(model))
    reader = judge or (own if own.is_file() else None)
    wanted = Wanted(
        count=count,
        steps=steps,
        guidance=c.weight(guidance, "--guidance"),
        sampler=sampler,
        seed=seed,
        seeds_per_pair=seeds,
        anagrams=anagrams,
        hybrids=hybrids,
        views=tuple(view or ["rotate:180"]),
        pairs=pairs,
        sweeps=sweeps,
        judge=None if reader is None else read_judge(reader),
    )
    if out is not None:
        c.check_folder(out)
    loaded = load(model, device, dtype)
    result = evaluate_model(loaded, _measured_on(loaded, data), wanted, _tell(quiet or json))
    if out is not None:
        write_text(out / "evaluation.json", json_module.dumps(result, indent=1))
        write_text(out / "evaluation.md", format_evaluation(result) + "\n")
        if sweeps:
            write_text(out / "sweeps.html", sweep_page(result))
    if json:
        typer.echo(json_module.dumps(result))
    elif not quiet:
        typer.echo(format_evaluation(result))


def tour(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the page, its pictures and numbers.")] = Path(
        "tour"
    ),
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="What all of it is of: a name of `models list`, a run, a folder or a file. "
            f"Else it plays with {MODEL} and shows how {SCRATCH} was trained.",
        ),
    ] = None,
    photo: Annotated[
        Path | None, typer.Option("--photo", help="A picture of your own to be noised, cleaned and edited.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer pictures of everything, in less than half the time.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="More seeds of everything: tighter numbers.")] = False,
    data: Data = None,
    seed: c.Seed = 0,
    device: c.Device = "auto",
    memory: c.Memory = "auto",
    dtype: c.Dtype = "auto",
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Everything in one page: noising, denoising, guidance, edits, inpainting, illusions, training."""
    from sfumato.app.tour import FULL, QUICK, USUAL, clean_pictures, read_photo, run_tour, subject_of

    if quick and full:
        raise UsageError("--quick makes less and --full more; give one of them")
    c.check_folder(out)
    load = c.Output(device=device, memory=memory).load

    def subject(name: str, own: Path | None = None, data: str | None = None) -> Subject:
        loaded = load(name, dtype)
        picture = None if own is None else read_photo(own, loaded.shape)
        told = clean_pictures(loaded, data, lambda line: typer.echo(line, err=True))
        return subject_of(loaded, name, told, picture)

    playing = subject(model or MODEL, photo, data)
    scratch = subject(SCRATCH) if model is None and MODEL != SCRATCH else None
    size = QUICK if quick else FULL if full else USUAL
    result = run_tour(out, playing, load, scratch=scratch, seed=seed, size=size, on_progress=_tell(quiet or json))
    if json:
        typer.echo(json_module.dumps({"report": str(result.report), "numbers": result.numbers}))
    elif not quiet:
        typer.echo(f"\nthe page: {result.report.resolve()}")


def _measured_on(model: Model, data: str | None) -> ImageData | CaptionedData | None:
    """What --data names, in the form that the model is measured with; None where it is measured without."""
    from sfumato.training.datasets.captioned import load_captioned

    if model.reads_text:
        return None if data is None else load_captioned(Path(data), model.shape[-1], "test")[0]
    # A one-step denoiser cannot be measured without clean pictures; a diffusion model can.
    return _pictures(data, model.shape) if data is not None or model.most_steps == 1 else None


def _pictures(data: str | None, shape: tuple[int, int, int] = (1, 28, 28)) -> ImageData:
    """Clean pictures to work on: what --data names, else MNIST's test set where it is, else typeset digits."""
    from sfumato.training.datasets import load_data, load_mnist, load_typeset

    if data is not None:
        channels, size, _ = shape
        return load_data(data, "test", size=size, channels=channels, warn=lambda line: typer.echo(line, err=True))
    try:
        return load_mnist("test", download=False)
    except UsageError:
        return load_typeset(2000, "test")


def _tell(quiet: bool) -> Callable[[str, int, int], None]:
    def line(what: str, done: int, total: int) -> None:
        if not quiet:
            typer.echo(f"[{done:>2}/{total}] {what}", err=True)

    return line


class _Interrupt:
    """Ctrl-C or SIGTERM asks the training to stop after its step; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        return self._asked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self._asked:
            # Not by sys.stderr: the signal may come while that is being written to, which it does not bear.
            with contextlib.suppress(OSError):
                os.write(2, b"\nsaving; another Ctrl-C stops at once\n")
        self._asked = True

    def __enter__(self) -> _Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
