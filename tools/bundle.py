"""Put a training into the package: its averaged weights in half precision, recipe, log, hashes and samples.

    python tools/bundle.py RUN NAME       (NAME such as digits-class; RUN a run directory, finished or not)

An unfinished run is bundled as it stands at its newest checkpoint, and the files say so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from sfumato.app.output import save_image
from sfumato.app.training import draw_loss, sample_sheet
from sfumato.backends.network import load_network
from sfumato.files import sha256, write_text
from sfumato.models.weights import load_weights, save_weights
from sfumato.training.checkpoint import latest_checkpoint
from sfumato.training.datasets import load_typeset
from sfumato.training.run import RunDirectory

FOLDER = Path(__file__).parent.parent / "src/sfumato/bundled"
EPOCHS = {"denoiser": (1, 2, 3, 4, 5), "time": (1, 2, 3, 4, 5, 16, 17, 18, 19, 20), "class": (1, 5, 20)}
"""Epochs after which the write-ups show samples."""
LOG_LINES = 400
"""About as many lines of the log are kept: each the mean over a stretch of steps."""


def bundle(run: RunDirectory, name: str) -> None:
    """Write NAME.safetensors, .json, .log.jsonl and .loss.png into the package, and samples after epochs."""
    recipe = run.recipe()
    checkpoint = latest_checkpoint(run.checkpoints)
    if checkpoint is None:
        raise SystemExit(f"{run.path} has no checkpoint")
    environment = json.loads((run.path / "environment.json").read_text())
    if run.model_file.exists():
        source = load_weights(run.model_file)
        config, facts, state = source.network.config, source.facts, source.network.state_dict()
    else:
        config = recipe.network_config((1, 28, 28), tuple("0123456789"))
        state = checkpoint.groups["ema"]
        per_epoch = -(-60000 // recipe.batch_size)
        facts = {
            "recipe": recipe.model_dump(mode="json"),
            "step": checkpoint.step,
            "epoch": round(checkpoint.step / per_epoch, 3),
            "data": {"name": "mnist", "sha256": checkpoint.facts["data"], "pictures": 60000},
            "environment": environment,
        }
    path = FOLDER / f"{name}.safetensors"
    save_weights(path, config, state, facts, torch.float16)

    rows = run.metrics()
    stretch = max(1, len(rows) // LOG_LINES)
    log = []
    for i in range(0, len(rows), stretch):
        part = rows[i : i + stretch]
        mean = sum(row["loss"] for row in part) / len(part)
        log.append({**part[-1], "loss": round(mean, 6)})
    write_text(FOLDER / f"{name}.log.jsonl", "".join(json.dumps(row) + "\n" for row in log))
    draw_loss(FOLDER / f"{name}.loss.png", log, f"recipe {recipe.name} on mnist")
    about = {
        "sha256": sha256(path),
        "steps": facts["step"],
        "epochs": facts["epoch"],
        "epochs_of_recipe": recipe.epochs,
        "finished": run.model_file.exists(),
        "recipe": recipe.model_dump(mode="json"),
        "data": facts["data"],
        "environment": environment,
    }
    write_text(FOLDER / f"{name}.json", json.dumps(about, indent=2) + "\n")
    for epoch in EPOCHS[recipe.name]:
        if run.epoch_file(epoch).is_file():
            model = load_network(run.epoch_file(epoch), name)
            # The denoiser's rows show clean digits too: drawn ones, for MNIST's are not ours to give away.
            image = sample_sheet(model, recipe, load_typeset(10, "test", seed=1), zoom=1)
            save_image(image, FOLDER / "epochs" / f"{name}-{epoch:03d}.png")
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, epoch {facts['epoch']:g} of {recipe.epochs}")


if __name__ == "__main__":
    bundle(RunDirectory(Path(sys.argv[1])), sys.argv[2])
