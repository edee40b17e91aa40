"""What a graph of ComfyUI says: its nodes have inputs, and an input is a value or a link to another node's output."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

Nodes = Mapping[str, Mapping[str, Any]]
"""The inputs of each node."""

_TEXTS = ("text", "text_g", "text_l", "clip_l", "t5xxl", "prompt", "string", "value")
_MOST_SAMPLERS = 16


def is_graph(data: object) -> bool:
    """Whether data read from JSON are a graph."""
    return bool(_nodes(data))


def read(data: object) -> dict[str, str | None]:
    """What is said of prompt, negative, steps, sampler, guidance, seed, size and model.

    That is said by samplers, or by what they link to. Where there are several, as when a picture was enlarged, each
    says something, with bars between.
    """
    nodes = _nodes(data)
    samplers = [name for name, inputs in nodes.items() if _link(inputs.get("latent_image"))][:_MOST_SAMPLERS]
    found: dict[str, dict[str, None]] = {}

    def say(name: str, *values: object) -> None:
        texts = (f"{value:g}" if isinstance(value, float) else str(value) for value in values)
        found.setdefault(name, {}).update(dict.fromkeys(texts))

    for sampler in samplers:
        # Of this sampler, not of one that it goes on from.
        own = list(_upstream(nodes, sampler, {"latent_image"}))
        for name, keys in _KEYS.items():
            say(name, *_nearest(nodes, own, keys))
        for name, link, not_this in (("prompt", "positive", "negative"), ("negative", "negative", "positive")):
            start = _target(own, (link, "conditioning") if link == "positive" else (link,))
            skipped = {not_this, "model", "clip", "vae", "image"}
            said = [inputs.get(key) for inputs in _upstream(nodes, start, skipped) for key in _TEXTS]
            say(name, *(text for text in said if isinstance(text, str) and text.strip()))
        # (What is further upstream may have been enlarged since.)
        latent = nodes.get(_link(nodes[sampler]["latent_image"]) or "", {})
        sides = latent.get("width"), latent.get("height")
        say("size", *["×".join(map(str, sides))] if all(isinstance(side, int) for side in sides) else [])
    return {name: " | ".join(values) or None for name, values in found.items()}


_KEYS = {
    "steps": ("steps",),
    "sampler": ("sampler_name",),
    "guidance": ("cfg", "guidance"),
    "seed": ("seed", "noise_seed"),
    "model": ("ckpt_name", "unet_name"),
}


def _nodes(data: object) -> Nodes:
    if not isinstance(data, dict):
        return {}
    nodes = {name: node for name, node in data.items() if isinstance(node, dict) and "class_type" in node}
    # One node has for its output that nothing was said, whatever it was given.
    return {
        name: {} if node["class_type"] == "ConditioningZeroOut" else node["inputs"]
        for name, node in nodes.items()
        if isinstance(node.get("inputs"), dict)
    }


def _link(value: object) -> str | None:
    """The node that an input links to."""
    return str(value[0]) if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int) else None


def _upstream(nodes: Nodes, start: str | None, skipped: set[str]) -> Iterator[Mapping[str, Any]]:
    """The inputs of a node and of all that it links to, the nearest first; not through inputs of some names."""
    queue, seen = deque([start]), {start}
    while queue:
        name = queue.popleft()
        inputs = nodes.get(name) if name is not None else None
        if inputs is None:
            continue
        yield inputs
        for key, value in inputs.items():
            target = _link(value) if key not in skipped else None
            if target not in seen:
                seen.add(target)
                queue.append(target)


def _nearest(nodes: Nodes, some: list[Mapping[str, Any]], keys: tuple[str, ...]) -> list[str | int | float]:
    """What the first that knows one of these names has under it, itself or by one link; nothing where unclear."""
    key, inputs = next(((key, inputs) for inputs in some for key in keys if key in inputs), ("", {}))
    value = inputs.get(key)
    if (target := _link(value)) is not None:
        linked = nodes.get(target, {})
        value = linked.get(key, linked.get("value"))
    return [value] if isinstance(value, str | int | float) else []


def _target(some: list[Mapping[str, Any]], keys: tuple[str, ...]) -> str | None:
    """The first node that is linked to under one of these names."""
    links = (_link(inputs[key]) for inputs in some for key in keys if key in inputs)
    return next((link for link in links if link is not None), None)
