"""What a program does with memory that it frees. A matter of programs: a library leaves the allocator to its host."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of mallopt(3), by their numbers in malloc.h."""
_NEVER = -1


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees for its next tensors; whether it does.

    glibc gives large blocks back to the system as soon as they are freed, and the system fills each with zeros before
    it hands it out again. A loop over tensors of many megabytes may spend a fifth of its time so. Kept, they leave
    holes: a program may hold a fifth more. Elsewhere than on Linux with glibc nothing changes.
    """
    libc = _glibc()
    return libc is not None and bool(libc.mallopt(_TRIM_THRESHOLD, _NEVER)) and bool(libc.mallopt(_MMAP_MAX, 0))


def return_freed_memory() -> None:
    """Give the system what is kept and free: for a process that will rest. Elsewhere than with glibc, nothing."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
