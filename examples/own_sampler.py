"""A step of your own: Euler's, with some noise added and taken away again (the churn of Karras et al. 2022)."""

import math
from dataclasses import dataclass, replace

import torch

import sfumato as sf
from sfumato.core.levels import Level
from sfumato.core.samplers import Situation, Stepped


@dataclass(frozen=True)
class Churned:
    """Before each step the noise grows by a share of itself, which the step then has to take away as well."""

    share: float = 0.1

    def step(self, now: Situation) -> Stepped:
        """Canvases at `now.to`, and nothing to remember."""
        if now.to.sigma == 0:
            return now.x0, None
        noisier = Level(now.level.t, now.level.alpha, now.level.sigma * (1 + self.share))
        added = math.sqrt(noisier.sigma**2 - now.level.sigma**2)
        eps = (now.x + added * now.draw() - noisier.alpha * now.x0) / noisier.sigma
        return now.to.alpha * now.x0 + now.to.sigma * eps, None


model = sf.load("digits")
tree = sf.guided("7", scale=2)
plain = sf.sample(model, tree, seeds=range(5), sampler="ddim")
calm, wild = (sf.sample(model, tree, seeds=range(5), sampler=replace(Churned(), share=s)) for s in (0, 0.5))
assert torch.allclose(calm, plain, atol=1e-3)  # without churn it is ddim
sf.sheet(torch.cat([plain, wild]), columns=5).save("churned.png")
