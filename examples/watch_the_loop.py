"""The loop is a generator of steps. This consumer keeps frames for an animation, and stops when nothing moves."""

from pathlib import Path

import sfumato as sf
from sfumato.app.output import gif_bytes

model = sf.load("digits")
frames, before = [], None
for step in sf.trace(model, sf.guided("5", scale=2), seeds=range(6), steps=30):
    if step.x0 is not None:  # what the model takes to be underneath: clear long before the canvas is
        frames.append(sf.sheet(model.pictures(step.x0), columns=6, zoom=3))
        moved = float("inf") if before is None else float((step.x0 - before).abs().mean())
        print(f"t = {step.level.t:3g}  moved by {moved:.4f}")
        if moved < 0.002:
            break  # to stop asking is to cancel
        before = step.x0
Path("emerging.gif").write_bytes(gif_bytes(frames))
