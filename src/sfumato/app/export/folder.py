"""The folder of an export: it appears with all its files when they are written, and not at all when that fails."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sfumato.app.export.card import CARD, files_in_card
from sfumato.errors import UsageError
from sfumato.files import sha256, sync_folder


def check_free(out: Path, force: bool) -> None:
    """Raise UsageError when nothing may be written to a folder: it is a run, or there are files and no `force`."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"{out} is a file; give a folder with --out")
    if (out / "recipe.json").exists():
        raise UsageError(f"{out} is a run directory; choose another folder with --out")
    if not force and any(out.iterdir()):
        raise UsageError(f"{out} is not empty; choose another folder with --out, or replace an export with --force")


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder to write into, whose files are those of `out` when the block ends; gone when it fails.

    Where `out` is there already, its files of the same names are replaced, and those of an earlier export that its
    card lists and nobody has changed are removed.
    """
    existed = out.exists()
    # On the same disk, so that moving is renaming.
    there = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    staging = there / f".{out.name}.{secrets.token_hex(4)}.part"
    staging.mkdir()
    try:
        yield staging
        if existed:
            _move_into(staging, out)
        else:
            out.parent.mkdir(parents=True, exist_ok=True)
            staging.rename(out)
            sync_folder(out.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _move_into(staging: Path, out: Path) -> None:
    # The card last: it never tells of a file that is not there.
    new = sorted(staging.iterdir(), key=lambda file: (file.name == CARD, file.name))
    for file in new:
        if (out / file.name).is_dir():
            raise UsageError(f"{out / file.name} is a folder; choose another folder with --out")
    stale = _stale(out) - {file.name for file in new}
    for file in new:
        file.replace(out / file.name)
    for name in stale:
        (out / name).unlink()
    sync_folder(out)


def _stale(out: Path) -> set[str]:
    """The files of an earlier export: listed in its card, and still as it says."""
    card = out / CARD
    if not card.is_file():
        return set()
    listed = files_in_card(card.read_text(encoding="utf-8", errors="replace"))
    plain = {name: digest for name, digest in listed.items() if re.fullmatch(r"\w[\w.-]*", name)}
    return {name for name, digest in plain.items() if (out / name).is_file() and sha256(out / name) == digest}
