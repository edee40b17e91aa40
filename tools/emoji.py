"""Make a captioned folder out of the captioned emoji:  python tools/emoji.py --data PARQUET --out FOLDER [--concepts N]

`--data` is a folder with `emoji_*.parquet` (one row a picture: lossless WebP, 128×128 RGBA, with CLDR's name and
keywords) and `LICENSES.txt`. Which concepts are taken, in which order and under which names stands in
`emoji_subjects.toml`. The folder made is read by `sfumato.training.datasets.captioned.load_captioned`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sfumato.models.text import words

SUBJECTS = Path(__file__).with_name("emoji_subjects.toml")
KEYWORDS = 6
"""At most so many of CLDR's keywords."""
HEAD = 384
"""Concepts of a small training."""
HELD_OUT = {"head": 80, "rest": 120}
"""Pictures for testing among the first `HEAD` concepts and among the others, one a concept."""
HELD_OUT_STYLES = 5
"""A concept with a held-out picture has at least so many."""

Row = dict[str, Any]
Subjects = dict[str, Any]


@dataclass
class Concept:
    """What pictures of the same thing share, and the pictures."""

    name: str
    key: str
    group: str
    subgroup: str
    keywords: list[str]
    rows: list[Row] = field(default_factory=list)


def read_rows(folder: Path) -> list[Row]:
    """The rows of all parquet files of a folder, in the order of the files' names."""
    try:
        from pyarrow import parquet  # only this tool needs it
    except ImportError:
        sys.exit("pyarrow is missing; install it:  pip install pyarrow")
    files = sorted(folder.glob("emoji_*.parquet"))
    if not files:
        sys.exit(f"there is no file emoji_*.parquet in {folder}")
    return [row for file in files for row in parquet.read_table(file).to_pylist()]


def gather(rows: Iterable[Row], subjects: Subjects) -> list[Concept]:
    """The concepts that are taken, with those of their pictures that are, in the order of the rows."""
    wanted, unwanted = set(subjects["head"]), set(subjects["left_out"])
    concepts: dict[str, Concept] = {}
    for row in rows:
        variant = row["is_skin_tone_variant"] or row["is_direction_variant"] or row["is_flag"] or row["is_symbol"]
        gendered = row["is_gender_variant"] and row["name"] not in wanted
        if variant or gendered or row["name"] in unwanted or row["group"] in subjects["left_out_groups"]:
            continue
        concept = concepts.setdefault(
            row["key"], Concept(row["name"], row["key"], row["group"], row["subgroup"], row["keywords"])
        )
        # Almost the same picture under two names of styles would teach that the names mean nothing.
        if not row["near_duplicate_of"]:
            concept.rows.append(row)
    return list(concepts.values())


def ordered(concepts: list[Concept], subjects: Subjects) -> list[Concept]:
    """The concepts by worth: the head as listed, then by number of styles and kind, at last the kinds worth little."""
    head = {name: place for place, name in enumerate(subjects["head"])}
    if missing := head.keys() - {concept.name for concept in concepts}:
        sys.exit(f"{SUBJECTS.name} lists in its head what the data have not: {', '.join(sorted(missing))}")
    kinds = _places(subjects["kinds"])
    last = _places(subjects["last"])

    def worth(concept: Concept) -> tuple[int, ...]:
        if concept.name in head:
            return (0, head[concept.name])
        styles = -len(concept.rows)
        if concept.subgroup in last:
            return (2, last[concept.subgroup], styles)
        return (1, styles, kinds.get(concept.subgroup, len(kinds)))

    return sorted(concepts, key=worth)  # stable: within a kind as Unicode has them


def held_out(concepts: list[Concept]) -> set[tuple[str, str]]:
    """The pairs of key and style for testing. They follow from hashes, so they are spread over concepts and styles."""
    pairs: set[tuple[str, str]] = set()
    for part, count in ((concepts[:HEAD], HELD_OUT["head"]), (concepts[HEAD:], HELD_OUT["rest"])):
        best = [
            min((_hash(concept.key, row["style"]), concept.key, row["style"]) for row in concept.rows)
            for concept in part
            if len(concept.rows) >= HELD_OUT_STYLES
        ]
        pairs |= {(key, style) for _, key, style in sorted(best)[:count]}
    return pairs


def record(row: Row, subjects: Subjects, testing: bool) -> dict[str, Any]:
    """A line of metadata.jsonl."""
    name = subjects["renamed"].get(row["name"]) or _as_subject(row["name"])
    names = [name, *subjects["aliases"].get(row["name"], [])]
    said = {tuple(words(name)) for name in [row["name"], *names]}
    keywords = [word.lower() for word in row["keywords"] if words(word) and tuple(words(word)) not in said]
    unmirrored = row["name"] in subjects["unmirrored"] or row["subgroup"] in subjects["unmirrored_groups"]
    return {
        "file_name": file_name(row),
        "text": names,
        "keywords": list(dict.fromkeys(keywords))[:KEYWORDS],
        "style": subjects["styles"][row["style"]],
        "concept": name,
        "mirror": not unmirrored,
        "held_out": testing,
    }


def file_name(row: Row) -> str:
    """Where a picture lies in the folder."""
    return f"pictures/{row['key']}-{row['style']}.webp"


def write(concepts: list[Concept], testing: set[tuple[str, str]], subjects: Subjects, data: Path, out: Path) -> None:
    """The folder: pictures as they are in the data, metadata.jsonl, licences."""
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    lines = []
    for concept in concepts:
        for row in concept.rows:
            (out / file_name(row)).write_bytes(row["image"])
            line = record(row, subjects, (row["key"], row["style"]) in testing)
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    (out / "metadata.jsonl").write_text("".join(lines), encoding="utf-8")
    shutil.copyfile(data / "LICENSES.txt", out / "LICENSES.txt")
    (out / "README").write_text(
        f"{len(lines)} pictures of {len(concepts)} concepts, made by tools/emoji.py of sfumato from Noto Emoji, "
        "Blobmoji, Twemoji, Fluent Emoji, EmojiTwo and FxEmojis; LICENSES.txt must travel with them.\n",
        encoding="utf-8",
    )


def main() -> None:
    """Read the arguments, write the folder, say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with emoji_*.parquet and LICENSES.txt")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must be new or empty")
    parser.add_argument("--concepts", type=int, help="only the first so many, in the order of emoji_subjects.toml")
    arguments = parser.parse_args()
    if arguments.concepts is not None and arguments.concepts < 1:
        parser.error("--concepts must be at least 1")
    if not (arguments.data / "LICENSES.txt").is_file():
        parser.error(f"there is no LICENSES.txt in {arguments.data}, and the pictures must not go without it")
    # Pictures of an earlier run would stay behind.
    if arguments.out.exists() and (not arguments.out.is_dir() or any(arguments.out.iterdir())):
        parser.error(f"{arguments.out} is there already and not empty; give a new folder")
    subjects = tomllib.loads(SUBJECTS.read_text(encoding="utf-8"))
    concepts = ordered(gather(read_rows(arguments.data), subjects), subjects)
    testing = held_out(concepts)  # over all concepts, so that a smaller folder holds out the same pictures
    taken = concepts[: arguments.concepts]
    write(taken, testing, subjects, arguments.data, arguments.out)
    pictures = [(concept.key, row["style"]) for concept in taken for row in concept.rows]
    styles = ", ".join(f"{count} {style}" for style, count in Counter(style for _, style in pictures).most_common())
    print(f"{len(pictures)} pictures of {len(taken)} concepts ({styles}); {len(testing & set(pictures))} held out")


def _as_subject(name: str) -> str:
    """CLDR's name as one would say it in `a picture of …`."""
    clock = name.endswith(("o’clock", "-thirty"))
    return f"clock showing {name}" if clock else name.replace(": ", " of ")  # family: man, girl


def _places(kinds: list[list[str]]) -> dict[str, int]:
    """The place of each subgroup; those of one kind share it."""
    return {subgroup: place for place, kind in enumerate(kinds) for subgroup in kind}


def _hash(key: str, style: str) -> str:
    return hashlib.sha256(f"{key}/{style}".encode()).hexdigest()


if __name__ == "__main__":
    main()
