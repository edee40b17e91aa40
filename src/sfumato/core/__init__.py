"""The engine: levels, estimates, views, samplers and the loop. Torch only; no files, no networks."""
