"""Compiled loops in Python threads; they hold no lock, so that no threading layer is compiled."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch

_SHARES = 4
"""Shares of a thread where there is much to do: who is done early takes one more."""


def spread(loop: Callable[..., None], count: int, *arguments: object) -> None:
    """``loop(low, high, *arguments)`` over ``range(count)``, cut into shares for all threads."""
    threads = torch.get_num_threads()
    share = -(-count // (threads * _SHARES)) if count > threads else 1
    if threads == 1 or share >= count:
        loop(0, count, *arguments)
        return
    starts = range(0, count, share)
    pool = _pool(threads, os.getpid())
    for done in [pool.submit(loop, low, min(count, low + share), *arguments) for low in starts]:
        done.result()


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """The threads of this process: those of the one it was forked from are not there."""
    return ThreadPoolExecutor(threads, "geospot")
