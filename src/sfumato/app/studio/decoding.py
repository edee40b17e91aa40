"""What the reader's process does: a file of whatever content becomes a plain PNG and facts that were understood.

Nothing heavy is imported before the process runs, and its memory is limited after that.
"""

from __future__ import annotations

import io
import json
import signal
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfumato.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image

MOST_SIDE = 2048
"""Pixels; larger pictures are reduced to it."""
MOST_JOB = 2_000_000
"""Letters of a job in a picture's metadata; a longer one is left out."""


def main(connection: Connection, path: Path, headroom: int) -> None:
    """Read the file at `path` whenever asked to, until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    warnings.simplefilter("ignore")  # of odd metadata, on somebody's terminal
    import sfumato.app.foreign
    import sfumato.app.jobs  # noqa: F401  (torch is as large as all pictures together, so the limit is set after it)

    _limit(headroom)
    with suppress(EOFError, OSError):  # the parent has gone
        connection.send_bytes(b"ready")
        while True:
            connection.recv_bytes()
            facts, png = answer(path)
            connection.send_bytes(json.dumps(facts).encode())
            if png is not None:
                connection.send_bytes(png)


def answer(path: Path) -> tuple[dict[str, Any], bytes | None]:
    """What is in a file, and its picture; in the place of both an `error`, in one line without the file's name."""
    try:
        return _read(path)
    except UsageError as error:
        return {"error": _reason(error)}, None
    except MemoryError:
        return {"error": _SHORT}, None
    except Exception as error:  # whatever a decoder makes of a hostile file
        return {"error": f"the file is damaged ({type(error).__name__})"}, None


_SHORT = "it needs too much memory"


def _reason(error: UsageError) -> str:
    """Without the name of the file, which here is none that a user has given."""
    from sfumato.images import ImageError

    if isinstance(error.__cause__, MemoryError):
        return _SHORT
    return error.reason if isinstance(error, ImageError) else str(error)


def _limit(headroom: int) -> None:
    """Let the process have so many bytes more than it has, and write no core; where the system knows such limits."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + headroom
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    from PIL import PngImagePlugin

    from sfumato.app.provenance import KEY
    from sfumato.images import read_image

    image = _plain(read_image(path))
    facts, parameters = _ours(path), _parameters(path)
    info = PngImagePlugin.PngInfo()
    if facts is not None:  # an edit of this picture says what it was made by
        info.add_itxt(KEY, json.dumps(facts, ensure_ascii=False))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    told = {"width": image.width, "height": image.height, "mode": image.mode, "parameters": parameters}
    return {**told, "job": None if facts is None else facts["job"]}, buffer.getvalue()


def _plain(image: Image.Image) -> Image.Image:
    """The picture in mode L, RGB or RGBA, and not too large."""
    from PIL import Image

    if image.mode == "LA":
        image = image.convert("RGBA")
    longest = max(image.size)
    if longest > MOST_SIDE:
        width, height = (max(1, round(side * MOST_SIDE / longest)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    image.info.clear()  # profiles, comments, whatever stood in the file
    return image


def _ours(path: Path) -> dict[str, Any] | None:
    """Of our own metadata the job, made complete, and the models; None where there are none that can be understood."""
    from sfumato.app.jobs import parse_job
    from sfumato.app.provenance import SCHEMA, read_provenance

    try:
        facts = read_provenance(path)
        job = parse_job(facts["job"]).model_dump(mode="json")
        if len(json.dumps(job, allow_nan=False)) > MOST_JOB:
            return None
    except (UsageError, ValueError, ArithmeticError, RecursionError):
        return None
    return {"schema": SCHEMA, "job": job, "models": _models(facts.get("models"))}


def _models(given: Any) -> list[dict[str, str]]:
    """Names and hashes of models, as far as they are such."""
    rows = given if isinstance(given, list) else []
    keys = ("name", "sha256", "text_sha256")
    tables = [row for row in rows if isinstance(row, dict)][:8]
    return [{key: row[key][:500] for key in keys if isinstance(row.get(key), str)} for row in tables]


def _parameters(path: Path) -> str | None:
    """The text by which this picture was made: of another program what it says, of one of ours its `parameters`."""
    from PIL import Image

    from sfumato.app.foreign import read_foreign, shown
    from sfumato.images import FORMATS

    try:
        foreign = read_foreign(path)
        if foreign is None:
            with Image.open(path, formats=FORMATS) as image:
                return shown(image.info.get("parameters"))
    except Exception:  # what cannot be read says nothing; the picture itself is whole
        return None
    for name in ("parameters", "UserComment"):
        if name in foreign.text:
            return shown(foreign.text[name])
    return "\n".join(f"{name}: {value}" for name, value in foreign.rows().items() if value is not None)
