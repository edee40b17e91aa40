"""Guidance, a negative prompt and a composition, put together by hand: all are sums of the model's estimates."""

import torch

import sfumato as sf
from sfumato.core.estimates import Guided, Predict, Sum

model = sf.load("digits")
three, eight, nothing = Predict("3"), Predict("8"), Predict(None)

guided = Guided(three, nothing, scale=5)  # ε_u + γ (ε_c − ε_u)
assert guided == sf.guided("3", scale=5)  # values that say the same are the same
away = Guided(three, eight, scale=3)  # towards a 3, away from an 8: a negative prompt
between = Sum(((0.5, sf.guided("3", scale=3)), (0.5, sf.guided("8", scale=3))))  # half a 3 and half an 8

rows = [sf.sample(model, tree, seeds=range(4)) for tree in (three, guided, away, between)]
sf.sheet(torch.cat(rows), columns=4).save("guidance.png")
