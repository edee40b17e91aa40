"""How pictures of other programs were made, as these programs write it into their files.

That is hearsay: what stands in a file may be wrong, damaged or hostile. It is shown and never acted upon.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from sfumato.app import foreign_graph
from sfumato.app.provenance import KEY
from sfumato.errors import UsageError
from sfumato.images import FORMATS, read_image

LONGEST = 4_000_000
"""Characters of a text that are read; Pillow itself unpacks no more than a million from a compressed one."""
_SHOWN = 20_000
_COMMENT = "UserComment"


@dataclass(frozen=True)
class Foreign:
    """What another program says of a picture that it made; None is what it does not say."""

    program: str
    prompt: str | None = None
    negative: str | None = None
    steps: str | None = None
    sampler: str | None = None
    guidance: str | None = None
    seed: str | None = None
    size: str | None = None
    model: str | None = None
    text: Mapping[str, str] = field(default_factory=dict, repr=False)
    """All that it wrote, by the name of the chunk or of the EXIF tag."""

    def rows(self) -> dict[str, str | None]:
        """All but the text."""
        return {name: value for name, value in asdict(self).items() if name != "text"}


def read_foreign(path: Path) -> Foreign | None:
    """What another program says in a picture; None in one of ours, and where none says anything that is known here.

    Known are AUTOMATIC1111 and those that write as it does, ComfyUI, and InvokeAI, old and new. Raises UsageError for
    a file that is no picture.
    """
    read_image(path)  # the guarded reader has the first word on what is a picture
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        texts = _texts(path)
    if KEY in texts:
        return None
    for names, reader in _READERS.items():
        if any(name in texts for name in names) and (found := reader(texts)) is not None:
            given = {name: shown(value) for name, value in found.items()}
            program = given.pop("program") or "another program"
            return Foreign(program, **given, text=texts)
    return None


def refuse_foreign(path: Path) -> None:
    """Raise UsageError when another program made a picture: it cannot be made again here."""
    if (foreign := read_foreign(path)) is not None:
        raise UsageError(
            f"{path} was made by {foreign.program}, and sfumato cannot make another program's pictures again; "
            "inspect shows what it says"
        )


def shown(value: object) -> str | None:
    """A text or a number as one can safely print it: without what a terminal would obey, and not without end."""
    if isinstance(value, float):
        value = f"{value:g}"
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()[:_SHOWN]
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text) or None


def _texts(path: Path) -> dict[str, str]:
    """The texts in a picture that are not too long, by name."""
    with Image.open(path, formats=FORMATS) as image:
        image.load()  # some come after the pixels
        found = {**image.info, **getattr(image, "text", {})}
        try:
            exif = image.getexif()
            found |= _of_exif(dict(exif), dict(exif.get_ifd(0x8769)))
        except Exception:  # EXIF data that cannot be read say nothing
            pass
    texts = {name: text for name, text in found.items() if isinstance(name, str) and isinstance(text, str)}
    # (No half of a pair of surrogates, which no terminal and no file could show.)
    return {k: v.encode("utf-8", "replace").decode() for k, v in texts.items() if len(v) <= LONGEST or k == KEY}


def _of_exif(tags: Mapping[int, Any], more: Mapping[int, Any]) -> dict[str, str]:
    """Texts in EXIF: AUTOMATIC1111's comment, and ComfyUI's graphs in a WebP file, under names of cameras."""
    found = {}
    for value in tags.values():
        name, colon, text = value.partition(":") if isinstance(value, str) else ("", "", "")
        if colon and name.lower() in {"prompt", "workflow"}:
            found[name.lower()] = text
    comment = more.get(0x9286)
    if isinstance(comment, bytes):
        code, rest = comment[:8], comment[8:]
        if code == b"UNICODE\0":  # of either byte order, which the standard leaves open
            both = [rest.decode(coding, "replace") for coding in ("utf-16-be", "utf-16-le")]
            found[_COMMENT] = max(both, key=lambda text: sum(c.isascii() for c in text))
        else:
            found[_COMMENT] = (rest if code in (b"ASCII\0\0\0", bytes(8)) else comment).decode("utf-8", "replace")
    elif isinstance(comment, str):
        found[_COMMENT] = comment
    return found


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError):
        return None


def _size(width: object, height: object) -> str | None:
    return f"{width}×{height}" if isinstance(width, int) and isinstance(height, int) else None


def _automatic(texts: Mapping[str, str]) -> dict[str, Any] | None:
    """`parameters` of AUTOMATIC1111: the prompt, the negative prompt, and a line of `Name: value, …`."""
    text = texts.get("parameters", texts.get(_COMMENT, ""))
    if _json(text) is not None:  # other programs use the name for something else
        return {"program": None}
    *lines, last = text.strip().split("\n")
    # Bounded and without going back, for otherwise a long line that is no such list takes for ever.
    pairs = re.findall(r'(\w[\w \-/]{0,60}+):\s*+("(?:\\.|[^\\"]){0,4000}+"|[^,]*+)(?:,|$)', last[:64_000])
    # (The first of a name: those of the picture come before those of what was done to it.)
    settings = {name: _json(value) if value.startswith('"') else value for name, value in reversed(pairs)}
    if "Steps" not in settings:
        return {"program": None} if "parameters" in texts else None  # or a comment about something else
    prompt, *negative = re.split(r"^Negative prompt:", "\n".join(lines), maxsplit=1, flags=re.MULTILINE)
    version, size = shown(settings.get("Version")), re.fullmatch(r"\s*(\d+)x(\d+)\s*", str(settings.get("Size")))
    samplers = [settings[name] for name in ("Sampler", "Schedule type") if name in settings]
    return {
        "program": "AUTOMATIC1111 or one that writes as it does" + (f", {version}" if version else ""),
        "prompt": prompt,
        "negative": "".join(negative),
        "steps": settings.get("Steps"),
        "sampler": " ".join(map(str, samplers)),
        "guidance": settings.get("CFG scale"),
        "seed": settings.get("Seed"),
        "size": f"{size[1]}×{size[2]}" if size else None,
        "model": settings.get("Model", settings.get("Model hash")),
    }


def _comfy(texts: Mapping[str, str]) -> dict[str, Any] | None:
    """`prompt` and `workflow` of ComfyUI: the graph that ran, and as it is drawn; the second alone says too little."""
    graph, drawn = _json(texts.get("prompt")), _json(texts.get("workflow"))
    if foreign_graph.is_graph(graph):
        return {"program": "ComfyUI", **foreign_graph.read(graph)}
    return {"program": "ComfyUI"} if isinstance(drawn, dict) and "nodes" in drawn else None


def _invoke(texts: Mapping[str, str]) -> dict[str, Any] | None:
    """`invokeai_metadata` of InvokeAI from 3."""
    facts = _json(texts["invokeai_metadata"])
    if not isinstance(facts, dict):
        return None
    model = facts.get("model")
    names = [model.get(key) for key in ("name", "model_name", "key")] if isinstance(model, dict) else [model]
    return {
        "program": f"InvokeAI {shown(facts.get('app_version')) or ''}",
        "prompt": facts.get("positive_prompt"),
        "negative": facts.get("negative_prompt"),
        "steps": facts.get("steps"),
        "sampler": facts.get("scheduler"),
        "guidance": facts.get("cfg_scale"),
        "seed": facts.get("seed"),
        "size": _size(facts.get("width"), facts.get("height")),
        "model": next((name for name in names if isinstance(name, str)), None),
    }


def _old_invoke(texts: Mapping[str, str]) -> dict[str, Any] | None:
    """`sd-metadata` of InvokeAI 2."""
    facts = _json(texts["sd-metadata"])
    image = facts.get("image") if isinstance(facts, dict) else None
    if not isinstance(image, dict):
        return None
    parts = image.get("prompt")
    parts = [part.get("prompt") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else [parts]
    return {
        "program": f"InvokeAI {shown(facts.get('app_version')) or ''}",
        **_bracketed(" ".join(part for part in parts if isinstance(part, str))),
        "steps": image.get("steps"),
        "sampler": image.get("sampler"),
        "guidance": image.get("cfg_scale"),
        "seed": image.get("seed"),
        "size": _size(image.get("width"), image.get("height")),
        "model": facts.get("model_weights"),
    }


def _dream(texts: Mapping[str, str]) -> dict[str, Any]:
    """`Dream` of InvokeAI 1 and 2: the prompt in quotes, and options of one letter."""
    text = texts["Dream"].strip()
    quoted = re.match(r'"([^"]*)"', text)
    prompt = quoted[1] if quoted else re.split(r"\s-\w", text, maxsplit=1)[0]
    rest = text[quoted.end() if quoted else len(prompt) :]
    options = dict(re.findall(r"(?:^|\s)-([sSWHCA])\s*([^\s-]\S*)", rest))
    return {
        "program": "InvokeAI",
        **_bracketed(prompt),
        "steps": options.get("s"),
        "sampler": options.get("A"),
        "guidance": options.get("C"),
        "seed": options.get("S"),
        "size": f"{options['W']}×{options['H']}" if {"W", "H"} <= options.keys() else None,
    }


def _bracketed(prompt: str) -> dict[str, str]:
    """A prompt in which what is in square brackets is not wanted."""
    unwanted = re.findall(r"\[([^\[\]]*)\]", prompt)
    return {"prompt": re.sub(r"\s*\[[^\[\]]*\]", "", prompt), "negative": ", ".join(unwanted)}


_READERS: dict[tuple[str, ...], Callable[[Mapping[str, str]], dict[str, Any] | None]] = {
    ("invokeai_metadata",): _invoke,
    ("sd-metadata",): _old_invoke,
    ("Dream",): _dream,
    ("prompt", "workflow"): _comfy,
    ("parameters", _COMMENT): _automatic,
}
"""By the names of the texts that they are about; the first that can read them does."""
