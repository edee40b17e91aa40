"""Put a training into the package: its averaged weights in half precision, recipe, log, hashes and samples.

    python tools/bundle.py RUN NAME       (NAME such as digits-class; RUN a run directory, finished or not)

What is bundled is the newest checkpoint. Of an unfinished run the files say so. The data of the run must be at hand.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import torch

from sfumato.app.output import save_image
from sfumato.app.run_pictures import draw_loss, sample_sheet
from sfumato.backends.network import load_network
from sfumato.files import sha256, write_bytes, write_text
from sfumato.models.weights import load_weights
from sfumato.training.checkpoint import latest_checkpoint
from sfumato.training.datasets import load_typeset
from sfumato.training.directory import RunDirectory
from sfumato.training.run import facts_of, save_average
from sfumato.training.trainer import Trainer

FOLDER = Path(__file__).parent.parent / "src/sfumato/bundled"
EPOCHS = {
    "denoiser": (1, 2, 3, 4, 5),
    "time": (1, 2, 3, 4, 5, 16, 17, 18, 19, 20),
    "class": (1, 5, 20),
    "flow": (1, 5, 10),
}
"""Epochs after which the write-ups show samples."""
SHARD = 15_900_000
"""Bytes of tensors in a file at most."""
LOG_LINES = 400
"""About as many lines of the log are kept: each the mean over a stretch of steps."""


def bundle(run: RunDirectory, name: str) -> None:
    """Write NAME.safetensors, .json, .log.jsonl and .loss.png into the package, and samples after epochs."""
    recipe = run.recipe()
    checkpoint = latest_checkpoint(run.checkpoints)
    if checkpoint is None:
        raise SystemExit(f"{run.path} has no checkpoint")
    folder, trainer = Path(recipe.data), Trainer(recipe, recipe.load("train", print))
    begun = begun_with(recipe.init, recipe.init_sha256)
    if trainer.data.fingerprint != checkpoint.facts["data"]:
        raise SystemExit(f"the data at {recipe.data} are not those that {run.path} was trained on")
    trainer.restore(checkpoint)
    # Where the pictures lay on one machine means nothing on another.
    trainer.recipe = recipe = recipe.with_changes({key: Path(getattr(recipe, key)).name for key in ("data", "init")})
    for old in FOLDER.glob(f"{name}*.safetensors"):
        if re.fullmatch(r"(-\d+-of-\d+)?", old.stem.removeprefix(name)):
            old.unlink()
    files = save_average(FOLDER / f"{name}.safetensors", trainer, torch.float16, SHARD)
    facts = facts_of(trainer)
    facts["environment"] = json.loads((run.path / "environment.json").read_text())
    licences = folder / "LICENSES.txt"
    if licences.is_file():  # they travel with what was made of the pictures
        write_bytes(FOLDER / f"{name}-LICENSES.txt", licences.read_bytes())

    rows = run.metrics()
    stretch = max(1, len(rows) // LOG_LINES)
    log = []
    for i in range(0, len(rows), stretch):
        part = rows[i : i + stretch]
        mean = sum(row["loss"] for row in part) / len(part)
        log.append({**part[-1], "loss": round(mean, 6)})
    write_text(FOLDER / f"{name}.log.jsonl", "".join(json.dumps(row) + "\n" for row in log))
    draw_loss(FOLDER / f"{name}.loss.png", log, f"recipe {recipe.name} on {trainer.data.name}")
    about = {
        "sha256": sha256(*files),
        "steps": facts["step"],
        "epochs": round(facts["epoch"], 3),
        "epochs_of_recipe": recipe.epochs,
        "finished": trainer.step == trainer.total_steps,
        "recipe": recipe.model_dump(mode="json"),
        "begun_with": begun,
        "data": {key: facts["data"][key] for key in ("name", "sha256", "pictures")},
        "environment": facts["environment"],
    }
    write_text(FOLDER / f"{name}.json", json.dumps(about, indent=2) + "\n")
    for epoch in EPOCHS.get(recipe.name, ()):
        if run.epoch_file(epoch).is_file():
            model = load_network(run.epoch_file(epoch), name)
            # The denoiser's rows show clean digits too: drawn ones, for MNIST's are not ours to give away.
            image = sample_sheet(model, recipe, load_typeset(10, "test", seed=1), zoom=1)
            save_image(image, FOLDER / "epochs" / f"{name}-{epoch:03d}.png")
    size = sum(file.stat().st_size for file in files) / 1e6
    print(f"{', '.join(file.name for file in files)}: {size:.1f} MB, epoch {facts['epoch']:.3f} of {recipe.epochs}")


def begun_with(init: str, expected: str | None) -> dict[str, Any] | None:
    """How the weights came to be that a training began with, back to random ones: None.

    `expected` is the hash that the training recorded of them: a bundled model may have been made anew since, and then
    says itself what it was made of.
    """
    if not init:
        return None
    path = Path(init)
    told = path.with_name(re.sub(r"-1-of-\d+$", "", path.stem) + ".json")
    if path.parent.name == FOLDER.name and told.is_file():
        # The files of what a bundled model was begun with need not be here any more: it says itself what they were.
        known = json.loads(told.read_text())
        while known and known["sha256"] != expected:
            known = known["begun_with"]
        found = known and {key: known[key] for key in ("sha256", "steps", "recipe", "begun_with")}
    else:
        weights = load_weights(path)
        recipe = dict(weights.facts["recipe"])
        before = begun_with(recipe.get("init", ""), recipe.get("init_sha256"))
        recipe |= {key: Path(recipe.get(key, "")).name for key in ("data", "init")}
        hashed, steps = sha256(*weights.files), weights.facts["step"]
        found = {"sha256": hashed, "steps": steps, "recipe": recipe, "begun_with": before}
    if not found or found["sha256"] != expected:
        raise SystemExit(f"{init} is not any more what a training began with, of SHA-256 {expected}")
    return found


if __name__ == "__main__":
    bundle(RunDirectory(Path(sys.argv[1])), sys.argv[2])
