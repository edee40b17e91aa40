"""Weights that come with sfumato, with their recipes, logs and hashes."""
