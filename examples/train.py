"""A diffusion model from scratch in a few minutes, on digits drawn on this machine; then pictures from it.

python train.py [STEPS]
"""

import sys

import torch

import sfumato as sf
from sfumato.app.run_pictures import model_of
from sfumato.training.datasets import load_typeset
from sfumato.training.recipe import load_recipe
from sfumato.training.trainer import Trainer

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
data = load_typeset(2000 if steps >= 100 else 200)
recipe = load_recipe("class").with_changes({"width": 24, "batch_size": 32, "lr": 3e-3, "ema": 0.99, "steps": steps})
trainer = Trainer(recipe, data)
for progress in trainer.run():
    if progress.step % max(1, steps // 10) == 0:
        print(f"step {progress.step} of {steps}: loss {progress.loss:.3f}")

model = model_of(trainer)  # `sfumato train` keeps it in a run directory: sf.load("runs/class")
pictures = [sf.sample(model, sf.guided(digit, scale=4), seeds=[0], steps=20)[0] for digit in "0123456789"]
sf.sheet(torch.stack(pictures), columns=10).save("trained.png")
