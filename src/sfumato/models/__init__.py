"""The networks, and their files."""
