"""Pixel-space diffusion you can see through."""
