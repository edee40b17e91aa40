"""What a program keeps of the memory that it frees."""

import subprocess
import sys

import pytest

from sfumato.app import heap

PROGRAM = """
import mmap, resource, sys
import torch
from sfumato.app import heap

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE / 2**20

def faults(calls):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(calls):
        torch.ones(40 * 2**20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keeps = "keep" in sys.argv and heap.keep_freed_memory()
faults(30)
print(int(keeps), faults(10), end=" ")
full = resident()
heap.return_freed_memory()
print(full - resident())
"""
"""Ten tensors of 40 MiB, each freed before the next, when the heap has come to rest; then what is free goes back."""


def measured(*arguments):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    keeps, faults, returned = done.stdout.split()
    return keeps == "1", int(faults), float(returned)


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is that of Linux")
def test_memory_that_is_kept_is_not_asked_for_again():
    plain, ours = measured(), measured("keep")
    if not ours[0]:
        pytest.skip("this is not glibc")
    assert plain[1] >= 10 * 20  # a fault is a page of 4 KiB, or of 2 MiB
    assert ours[1] < plain[1] / 10
    assert ours[2] > 35


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(heap, "_glibc", lambda: None)
    assert heap.keep_freed_memory() is False
    heap.return_freed_memory()


def test_other_systems_have_no_glibc(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert heap._glibc() is None
