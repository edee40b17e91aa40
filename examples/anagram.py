"""A picture that is a 6, and turned by 180° a 9: the best of some seeds, as a judge reads them."""

import torch

import sfumato as sf
from sfumato.evaluation.judge import load_judge

model, judge = sf.load("digits"), load_judge()
views = [sf.view("identity"), sf.view("rotate:180")]  # or flip, jigsaw, hinge:3, rotate:90+negate, …
prompts = ["6", "9"]

tree = sf.anagram([sf.guided(prompt, scale=5) for prompt in prompts], views)
pictures = sf.sample(model, tree, seeds=range(8))
readings = [view(pictures) for view in views]
chances = [judge.probabilities(x)[:, judge.classes.index(prompt)] for x, prompt in zip(readings, prompts, strict=True)]
weakest = torch.stack(chances).min(0).values
best = int(weakest.argmax())
print(f"seed {best}: {', '.join(f'{chance[best]:.0%} a {p}' for chance, p in zip(chances, prompts, strict=True))}")
sf.sheet(torch.stack([x[best] for x in readings]), columns=2).save("anagram.png")
