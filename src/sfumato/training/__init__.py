"""Recipes, data, the training loop and its checkpoints."""
