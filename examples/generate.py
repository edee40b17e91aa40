"""Pictures from noise: four of each of three digits, as one sheet."""

import torch

import sfumato as sf

model = sf.load("digits")  # or a run directory, a folder of diffusers, "deepfloyd"
rows = []
for digit in ("3", "5", "8"):
    wanted = sf.guided(digit, scale=2)  # guidance γ = 2
    rows.append(sf.sample(model, wanted, seeds=range(4)))  # picture k has seed k, whatever its neighbours
sf.sheet(torch.cat(rows), columns=4).save("digits.png")
