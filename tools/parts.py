"""Pages of which some parts are measured: each stands between `<!-- measured: NAME -->` and `<!-- end -->`."""

from pathlib import Path


def put(page: Path, name: str, text: str) -> None:
    """A part of a page anew."""
    source = page.read_text(encoding="utf-8")
    begin, end = f"<!-- measured: {name} -->\n", "<!-- end -->"
    before, after = source.split(begin, 1)
    page.write_text(f"{before}{begin}\n{text}\n\n{end}{after.split(end, 1)[1]}", encoding="utf-8")
