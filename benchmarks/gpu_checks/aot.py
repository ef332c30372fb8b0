"""Compile every pass ahead of time, for cards that are not here, and say what each needs.

    python -m benchmarks.gpu_checks.aot              for every architecture; writes the results
    python -m benchmarks.gpu_checks.aot 90 120       for some of them; writes nothing
    python -m benchmarks.gpu_checks.aot 90 --only fold --code ptx    intermediate code of some

The interpreter lets pass what the compiler does not. Nothing is measured here: these are counts of
what stands in the code.
"""

from __future__ import annotations

import argparse
import os

if __name__ == "__main__":  # before Triton is imported
    os.environ.pop("TRITON_INTERPRET", None)
    os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"  # as every launch asks for; else Triton warns

from benchmarks.gpu_checks import compiled
from benchmarks.gpu_checks.cards import ARCHITECTURES, LIMITS
from benchmarks.gpu_checks.launches import launches
from benchmarks.record import write

COLUMNS = "regs spills stack   shared of_limit blocks matrix   code per_cost special"

WIDTH = 58
"""Letters of a label."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.gpu_checks.aot")
    parser.add_argument("architectures", nargs="*", type=int, choices=[[], *ARCHITECTURES])
    parser.add_argument("--only", action="append", help="passes whose label has these letters")
    parser.add_argument("--code", help="print it: ttir, ttgir, llir or ptx")
    asked = parser.parse_args()
    if (problem := compiled.problem()) is not None:
        raise SystemExit(problem)
    rows, failed, wrong = [], 0, 0
    for architecture in asked.architectures or ARCHITECTURES:
        print(f"sm_{architecture:<{WIDTH - 3}d} {COLUMNS}")
        for launch in launches(architecture):
            if not any(letters in launch.label for letters in asked.only or ("",)):
                continue
            if asked.code:
                print(compiled.assembled(launch, architecture).asm[asked.code])
                continue
            try:
                row = compiled.compile_launch(launch, architecture)
            except Exception as error:  # what a GPU would raise at the first launch
                print(f"{launch.label:{WIDTH}s} {type(error).__name__}: {error}", flush=True)
                failed += 1
                continue
            rows.append(row)
            show(row)
            wrong += bool(compiled.violations(row))
    if not asked.architectures and not asked.only and not asked.code:
        figures = [row._asdict() | {"fits": row.fits} for row in rows]
        kind = "compiled ahead of time on a machine without a GPU; not measured"
        write("gpu_compiled", {"kind": kind, "passes": figures})
    if failed:
        raise SystemExit(f"{failed} do not compile")
    if wrong:
        raise SystemExit(f"{wrong} are not what they have to be")


def show(row: compiled.Compiled) -> None:
    """Print one row of the table."""
    limit = LIMITS[row.architecture].block
    used = f"{100 * row.shared / limit:.0f}%" if row.fits else "NO ROOM"
    per_cost = "" if row.per_cost is None else f"{row.per_cost:.1f}"
    print(
        f"{row.label:{WIDTH}s} {row.registers:4d} {row.spills:6d} {row.stack:5d} {row.shared:8d} "
        f"{used:>8s} {row.blocks:6d} {row.matrix:7s} {row.instructions:5d} {per_cost:>8s} "
        f"{row.special:7d}{''.join(f' ! {what}' for what in compiled.violations(row))}",
        flush=True,
    )


if __name__ == "__main__":
    main()
