"""Commands that teach: train, evaluate, tour."""

from __future__ import annotations

import json as json_module
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.app.cli import common as c
from sfumato.errors import UsageError

if TYPE_CHECKING:
    from sfumato.training.data import ImageData

Data = Annotated[
    str | None, typer.Option("--data", help="mnist, typeset, or a folder (of idx files, pictures, or class folders).")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (train, evaluate, tour):
        app.command()(command)


def train(
    recipe: Annotated[str | None, typer.Argument(help="denoiser, time, class, or a .toml file.")] = None,
    data: Data = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The run directory; runs/RECIPE by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, bit for bit.")] = False,
    settings: Annotated[list[str] | None, typer.Option("--set", help="A number of the recipe: epochs=5.")] = None,
    device: c.Device = "auto",
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Train a diffusion model from scratch: `sfumato train class --data mnist --set epochs=5`."""
    from sfumato.app.training import begin, follow, resume_run
    from sfumato.training.recipe import load_recipe, packaged_recipes, parse_settings

    def warn(line: str) -> None:
        if not quiet:
            typer.echo(line, err=True)

    if resume:
        if settings or data:
            raise UsageError("--resume goes on with the run's own recipe and data; leave --set and --data out")
        if recipe is None and out is None:
            raise UsageError("say which run to go on with: sfumato train --resume --out RUN")
        trainer, run = resume_run(out or Path("runs") / str(recipe), device, warn)
    else:
        if recipe is None:
            raise UsageError(f"say what to train: one of {', '.join(packaged_recipes())}, or a .toml file")
        changes = parse_settings(settings or [])
        if data is not None:
            changes["data"] = data
        chosen = load_recipe(recipe).with_changes(changes)
        folder = out or Path("runs") / chosen.name
        c.check_folder(folder)
        trainer, run = begin(folder, chosen, device, warn)
    command = f"sfumato train --resume --out {run.path}"
    with _Interrupt() as interrupt:
        follow(run, trainer, stop=interrupt, quiet=quiet or json)
    if trainer.step < trainer.total_steps:
        typer.echo(f"stopped after step {trainer.step} of {trainer.total_steps}; go on with: {command}", err=True)
        raise typer.Exit(130)
    result = json_module.loads(run.result_file.read_text(encoding="utf-8"))
    if json:
        typer.echo(json_module.dumps({"run": str(run.path), **result}))
    elif not quiet:
        typer.echo(f"{run.path}: {result['steps']} steps, loss {result['loss']:.5f}")
        for name, digest in result["sha256"].items():
            typer.echo(f"  {name:<9} {digest}")


def evaluate(
    model: Annotated[str, typer.Argument(help="A bundled model, a run directory, or a .safetensors file.")] = "digits",
    data: Data = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Samples to judge, or pictures to denoise.")] = 200,
    steps: c.Steps = None,
    guidance: c.Guidance = None,
    seed: c.Seed = 0,
    anagrams: Annotated[bool, typer.Option("--anagrams", help="Judge every pair under a turn by 180°.")] = False,
    hybrids: Annotated[bool, typer.Option("--hybrids", help="Judge every pair near and far.")] = False,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds for each pair.")] = 20,
    device: c.Device = "auto",
    dtype: c.Dtype = "float32",
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Measure a model: judged accuracy of samples, success of illusions; with --data denoising and Fréchet distance."""
    from sfumato.app.evaluate import evaluate_model, format_evaluation
    from sfumato.backends.registry import load

    # A one-step denoiser cannot be measured without clean pictures; a diffusion model can.
    needed = data is not None or load(model, device, dtype).most_steps == 1
    result = evaluate_model(
        model,
        data=_pictures(data) if needed else None,
        count=count,
        steps=steps,
        guidance=guidance,
        seed=seed,
        seeds_per_pair=seeds,
        anagrams=anagrams,
        hybrids=hybrids,
        device=device,
        dtype=dtype,
        on_progress=_tell(quiet or json),
    )
    if json:
        typer.echo(json_module.dumps(result))
    elif not quiet:
        typer.echo(format_evaluation(result))


def tour(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the page, its pictures and numbers.")] = Path(
        "tour"
    ),
    data: Data = None,
    seed: c.Seed = 0,
    device: c.Device = "auto",
    json: c.Json = False,
    quiet: c.Quiet = False,
) -> None:
    """Everything in one page: noising, denoising, guidance, edits, inpainting, illusions, training."""
    from sfumato.app.tour import run_tour

    c.check_folder(out)
    result = run_tour(
        out, data=_pictures(data), model_loader=c.Output(device=device).load, seed=seed, on_progress=_tell(quiet)
    )
    if json:
        typer.echo(json_module.dumps({"report": str(result.report), "numbers": result.numbers}))
    elif not quiet:
        typer.echo(f"\nthe page: {result.report.resolve()}")


def _pictures(data: str | None) -> ImageData:
    """Clean pictures to work on: what --data names, else MNIST's test set where it is, else typeset digits."""
    from sfumato.training.datasets import load_data, load_mnist, load_typeset

    if data is not None:
        return load_data(data, "test", warn=lambda line: typer.echo(line, err=True))
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
        self._asked = True
        sys.stderr.write("\nsaving; once more to stop at once\n")

    def __enter__(self) -> _Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
