"""Compile every pass for a Hopper GPU without one: ``python -m tests.kernels.compile_triton``.

The interpreter lets pass what the compiler does not. Prints shared memory in bytes for each.
"""

from __future__ import annotations

import os
from typing import Any

if __name__ == "__main__":  # before Triton is imported
    os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"
    os.environ.pop("TRITON_INTERPRET", None)

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from geospot_gpu.kernels.gpu import passes
from geospot_gpu.kernels.gpu.tiles import Kept, Points, Problems

FLOATS, INTS, LONGS, HALVES = "*fp32", "*i32", "*i64", "*fp16"
POINTS = Points(HALVES, HALVES, FLOATS, FLOATS)
TYPES: dict[str, Any] = {
    "x": POINTS,
    "y": POINTS,
    "problems": Problems(LONGS, INTS, LONGS, INTS, INTS, LONGS, FLOATS, FLOATS),
    "kept": Kept("*u16", LONGS, FLOATS, FLOATS),
    **dict.fromkeys(("work", "lines", "pending", "n", "slots"), INTS),
    **dict.fromkeys(("part", "slot", "column_part"), LONGS),
    **dict.fromkeys(("k", "unit"), "fp32"),
    **dict.fromkeys(("width", "other_width", "first_block", "first_slot", "most_slots"), "i32"),
}


def compile_pass(name: str, warps: int, **constants: Any) -> int:
    """Bytes of shared memory of the pass, compiled."""
    function = getattr(passes, name)
    types: dict[str, Any] = {a: TYPES.get(a, FLOATS) for a in function.arg_names}
    types |= dict.fromkeys(constants, "constexpr")
    if constants.get("MARGINALS") is False:
        types |= dict.fromkeys(("by_row", "by_column"), "*fp64")
    aligned: dict[tuple[int, ...], list[list[object]]] = {}
    for position, kind in enumerate(types.values()):
        if isinstance(kind, tuple):
            aligned |= {(position, field): [["tt.divisibility", 16]] for field in range(len(kind))}
        elif kind.startswith("*"):
            aligned[(position,)] = [["tt.divisibility", 16]]
    values = {(function.arg_names.index(a),): value for a, value in constants.items()}
    source = ASTSource(function, signature=types, constexprs=values, attrs=aligned)
    options = {"num_warps": warps, "num_stages": 3}
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    return int(compiled.metadata.shared)


def main() -> None:
    cost = {"KIND": 1, "GEO": True, "D": 512, "BM": 128, "BN": 128, "BK": 64}
    square = cost | {"KIND": 2, "D": 40, "BM": 64, "BN": 64}
    geography = cost | {"KIND": 0, "D": 1}
    cheap = {"KEPT": False, "TRANSPOSED": False, "EXACT": False}
    passes: list[tuple[str, int, dict[str, Any]]] = [
        ("log_sums", 8, cost | cheap),
        ("log_sums", 8, cost | cheap | {"EXACT": True}),
        ("log_sums", 8, cost | cheap | {"KEPT": True, "TRANSPOSED": True}),
        ("log_sums", 4, square | cheap | {"EXACT": True}),
        ("log_sums", 8, geography | cheap),
        ("keep_costs", 8, cost | {"WRITE": False, "EXACT": False}),
        ("keep_costs", 8, cost | {"WRITE": True, "EXACT": False}),
        ("plan_integrals", 8, cost | {"MARGINALS": True, "EXACT": True}),
        ("plan_integrals", 8, cost | {"MARGINALS": False, "EXACT": True}),
        ("kept_step", 8, {"WHOLE": True, "ROWS": 64, "BM": 16, "BN": 1024}),
        ("kept_step", 8, {"WHOLE": False, "ROWS": 64, "BM": 16, "BN": 512}),
        ("fold_logs", 4, {"RELAX": True, "BLOCK": 256}),
        ("fold_sums", 4, {"BLOCK": 256}),
    ]
    for name, warps, constants in passes:
        print(name, compile_pass(name, warps, **constants), flush=True)


if __name__ == "__main__":
    main()
