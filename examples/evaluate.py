"""Are samples what was asked for? A judge, a classifier trained on real digits, reads them.

python evaluate.py [PICTURES]
"""

import sys
from dataclasses import replace

import sfumato as sf
from sfumato.core.loops import Loop
from sfumato.evaluation.judge import load_judge
from sfumato.evaluation.samples import Sampling, judged, sample_classes

count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
model, judge = sf.load("digits"), load_judge()
how = Sampling(steps=10, guidance=2)
for name in ("ddpm", "ddim", "dpmpp-2m"):
    pictures, asked = sample_classes(model, model.classes, count, replace(how, loop=Loop(name)))
    found = judged(pictures, asked, judge)
    low, high = found.interval
    print(f"{name:8s}  {found.correct} of {found.count} read as asked (95 % interval {low:.0%} to {high:.0%})")
print(found.to_markdown())  # what was taken for what
