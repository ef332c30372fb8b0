"""Every check of the GPU's code that needs no GPU, on all cores: ``make gpu-check``.

    python -m benchmarks.gpu_checks                  all; writes nothing
    python -m benchmarks.gpu_checks aot variants     some of them

Each runs in a process of its own: passes of Triton are compiled there, or interpreted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.gpu_checks.cards import ARCHITECTURES
from benchmarks.gpu_checks.planted import BUGS

CHECKS = {
    **{f"aot {architecture}": ("aot", str(architecture)) for architecture in ARCHITECTURES},
    **{
        f"pretend {backend} {storage}": ("pretend", "--backend", backend, "--storage", storage)
        for backend in ("triton", "torch")
        for storage in ("kept", "streamed")
    },
    "commands": ("commands",),
    "per_iteration": ("per_iteration",),
    "variants": ("variants",),
    "memcheck": ("memcheck",),
    **{f"planted {bug}": ("planted", bug) for bug in BUGS},
}
"""Modules with their arguments, the long ones first."""


def run(check: tuple[str, ...]) -> tuple[bool, str, float]:
    """Whether a check passes, what it says, and seconds."""
    module, *arguments = check
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"benchmarks.gpu_checks.{module}", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    return ran.returncode == 0, ran.stdout + ran.stderr, time.perf_counter() - began


def main() -> None:
    asked, began = set(sys.argv[1:]), time.perf_counter()
    chosen = {name: check for name, check in CHECKS.items() if not asked or check[0] in asked}
    if unknown := asked - {check[0] for check in CHECKS.values()}:
        raise SystemExit(f"there is no check named {', '.join(sorted(unknown))}")
    failed = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(run, chosen.values())
        for name, (passed, said, spent) in zip(chosen, found, strict=True):
            print(f"{'ok    ' if passed else 'FAILED'} {name} ({spent:.0f} s)", flush=True)
            if not passed:
                print(said, flush=True)
                failed.append(name)
    print(f"{len(chosen)} checks, {len(failed)} failed, in {time.perf_counter() - began:.0f} s")
    if failed:
        raise SystemExit(f"these checks fail: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
