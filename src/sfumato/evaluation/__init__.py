"""Judges and measures."""
