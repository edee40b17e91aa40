"""What a user is told: one line that says what is wrong and what to do."""

from __future__ import annotations


class SfumatoError(Exception):
    """A failure with a message for the user (exit code 1)."""

    exit_code = 1


class Stopped(SfumatoError):
    """The user stopped it. The message says what there is and how to go on."""

    exit_code = 130


class UsageError(SfumatoError):
    """A request that cannot be meant as it stands: a bad number, an unknown name, a missing file (exit code 2)."""

    exit_code = 2


def short(value: object, most: int = 60) -> str:
    """A value as it may stand in a message: what is odd is often long."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def one_of(kind: str, name: str, known: list[str] | tuple[str, ...]) -> UsageError:
    """The error for an unknown name, with the known ones."""
    return UsageError(f"unknown {kind} {short(name)}; choose one of {', '.join(known)}")
