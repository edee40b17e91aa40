"""A picture that is a 0 from afar and a 3 from near, seen from nearer and nearer."""

import torch

import sfumato as sf
from sfumato.core.filters import LowPass

model = sf.load("digits")
tree = sf.hybrid(far=sf.guided("0", scale=5), near=sf.guided("3", scale=5), sigma=1.5)
pictures = sf.sample(model, tree, seeds=range(4))
distances = [LowPass(sigma)(pictures) for sigma in (3, 1.5, 1)]
seen = torch.stack([*distances, pictures], dim=1)  # for each picture a row, from afar to near
sf.sheet(seen.flatten(0, 1), columns=4).save("hybrid.png")
