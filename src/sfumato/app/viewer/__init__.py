"""The illusion viewer: custom elements that turn, step back, walk through steps and compare; for every page of ours."""
