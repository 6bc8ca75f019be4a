"""The C library's allocator, told to keep what a step frees: the next step asks for as much again."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of glibc


def keep_freed_memory() -> None:
    """Have glibc hand no memory back to the system, which would clear every page of it before it gives it out again.

    Activations of more than 32 MiB go back and forth at each step without it: a quarter of the CPU time of
    the S10 network. What a process holds at most grows by a tenth. Nothing happens where the library is another one.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_MMAP_MAX, 0)
