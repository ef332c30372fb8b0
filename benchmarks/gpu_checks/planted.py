"""Plant bugs, one at a time, in a copy of the code: does a check notice each?

python -m benchmarks.gpu_checks.planted            all of them; minutes
python -m benchmarks.gpu_checks.planted barrier    those with these letters
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COPIED = ("geospot_gpu", "kernels", "conf", "benchmarks")


class Bug(NamedTuple):
    """A text of the code, once in its file, and what stands there instead."""

    file: str
    text: str
    instead: str
    check: tuple[str, ...]
    """The check that is to fail, with its arguments."""
    says: str
    """Part of what it says."""


_RAGGED = ("memcheck", "ragged, D 65")
_TORCH = ("pretend", "--backend", "torch", "--storage", "kept", "--only")
_TRITON = ("pretend", "--backend", "triton", "--storage", "kept", "--only")
_ITERATION = ("per_iteration", "divergence, triton kept, not")
_DEVICES = "tensors on cuda:1 and cpu"
_PASSES, _STEPS, _TILES = (f"kernels/gpu/{name}.py" for name in ("passes", "steps", "tiles"))
_TILING, _LOOP = "kernels/gpu/tiling.py", "kernels/gpu/loop.py"
_STAGES = """    for stages in {}:
        tiling = Tiling(rows, columns, depth, warps, stages)
        if {}:
"""
_THREE_PRODUCTS = """        total = _add_product(x.high, y.low, rows, columns, total, D, BK)
        total = _add_product(x.low, y.high, rows, columns, total, D, BK)
        total *= _SPLIT_UNIT
"""
_ONE_LOOP = """        depth, cross = tl.arange(0, BK), tl.zeros((BM, BN), tl.float32)
        for d in range(0, D, BK):
            at_x = rows[:, None] * D + (d + depth)[None, :]
            at_y = columns[None, :] * D + (d + depth)[:, None]
            x_high, y_high = tl.load(x.high + at_x), tl.load(y.high + at_y)
            total = tl.dot(x_high, y_high, total)
            cross = tl.dot(x_high, tl.load(y.low + at_y), cross)
            cross = tl.dot(tl.load(x.low + at_x), y_high, cross)
        return total + cross * _SPLIT_UNIT
"""

MEMORY = {
    "barrier left out": Bug(
        _STEPS,
        "            tl.debug_barrier()  # what is stored here is read again for the next rows\n",
        "",
        ("memcheck", "wide steps"),
        "of what was stored since the last barrier",
    ),
    "store without a mask": Bug(
        _PASSES,
        "tl.store(peaks + to, peak, mask=i < n)",
        "tl.store(peaks + to, peak)",
        _RAGGED,
        "two programs write one address",
    ),
    "rows beyond the last": Bug(
        _PASSES,
        "rows = tl.load(problems.here + b) + tl.minimum(i, n - 1)\n    there, column",
        "rows = tl.load(problems.here + b) + i\n    there, column",
        ("memcheck", "random 0"),
        "load out of bounds",
    ),
    "partial results that overlap": Bug(
        "kernels/gpu/layout.py",
        "self.longs(begins(self._chunks * self._n))",
        "self.longs(begins(self._chunks * self._n) // 2)",
        _RAGGED,
        "two programs write one address",
    ),
    "columns beyond the last": Bug(
        _STEPS,
        'score = tl.load(log_b + column + span, mask=span < m, other=float("-inf"))',
        "score = tl.load(log_b + column + span)",
        _RAGGED,
        "load out of bounds",
    ),
    "padding of kept costs that is not written": Bug(
        _PASSES,
        "inside = (i < n)[:, None] & (j < pitch)[None, :]\n            tl.store(kept.costs",
        "inside = (i < n)[:, None] & (j < m)[None, :]\n            tl.store(kept.costs",
        _RAGGED,
        "load of unset memory",
    ),
    "all partial results but the first forgotten": Bug(
        "kernels/gpu/finish.py",
        "            if QUICK:\n                sums = tl.zeros((BLOCK,), tl.float32)\n"
        "                for _ in range(tl.load(slots + b)):",
        "            if QUICK:\n                sums = tl.zeros((BLOCK,), tl.float32)\n"
        "                for _ in range(1):",
        ("memcheck", "very different sizes"),
        "quick step, columns",
    ),
}
"""Accesses, and values where accesses are right."""

DEVICES = {
    "mask of padding on the host": Bug(
        "kernels/clouds.py",
        "* upload(inside, self.device)",
        "* inside",
        (*_TORCH, "pairwise"),
        _DEVICES,
    ),
    "results left on the device": Bug(
        "geospot_gpu/engine/arriving.py",
        "dict(zip(found, host, strict=True))",
        "dict(zip(found, stacked, strict=True))",
        (*_TORCH, "pairwise"),
        "FAILED",
    ),
    "state of relaxation on the host": Bug(
        "kernels/relaxation.py",
        "dtype=torch.float64, device=device)",
        "dtype=torch.float64)",
        (*_TORCH, "contributions"),
        _DEVICES,
    ),
    "list of work on the host": Bug(
        "kernels/gpu/layout.py",
        "return upload(torch.from_numpy(values.astype(np.int32)), device)",
        "return torch.from_numpy(values.astype(np.int32))",
        (*_TRITON, "contributions"),
        "a tensor on the CPU",
    ),
    "launch on the current GPU": Bug(
        "kernels/gpu/batch.py",
        "with torch.cuda.device(work.device) if on_gpu else contextlib.nullcontext():",
        "with contextlib.nullcontext():",
        (*_TRITON, "contributions"),
        "which is not current",
    ),
    "numbers of a command left on the device": Bug(
        "geospot_gpu/selection/point_cover.py",
        "weight.double().cpu().numpy(),",
        "weight.double().numpy(),",
        ("commands", "select, points"),
        "select, points",
    ),
}
"""What is on which device."""

COUNTS = {
    "wait in an iteration": Bug(
        _LOOP, "looks.look().tolist()", "left.tolist()", _ITERATION, "waits, 0 allowed"
    ),
    "launch too many": Bug(
        _LOOP,
        "    def advance() -> None:\n",
        "    def advance() -> None:\n        state.f.add_(0.0)\n",
        _ITERATION,
        "3 launches, 2 allowed",
    ),
    "wait in a graph": Bug(
        _LOOP,
        "    def advance() -> None:\n",
        "    def advance() -> None:\n        left = state.left.tolist()\n",
        (*_TRITON, "contributions"),
        "waits",
    ),
    "variants for every size": Bug(
        _PASSES,
        '@triton.jit(do_not_specialize=["width", "other_width", "first_block"])',
        "@triton.jit",
        ("variants",),
        "plan_integrals",
    ),
}
"""What is launched, waited for and compiled."""

COMPILED = {
    "more shared memory than the card has": Bug(
        _TILING,
        _STAGES.format("(4, 3, 2)", "tiling.shared <= card.shared"),
        _STAGES.format("(6,)", "tiling.shared"),
        ("aot", "120", "--only", "log_sums: mixed, D 512"),
        "bytes of shared memory, a block may have",
    ),
    "too few registers": Bug(
        _TILING,
        "(64, 64, 4) if small else (128, 128, 8)",
        "(64, 64, 4) if small else (128, 128, 4)",
        ("aot", "90", "--only", "log_sums: mixed, D 512"),
        "instructions move registers to memory",
    ),
    "tiles too small for wgmma": Bug(
        _TILING,
        "(64, 64, 4) if small else (128, 128, 8)",
        "(64, 64, 4) if small else (32, 128, 8)",
        ("aot", "90", "--only", "log_sums: mixed, D 512"),
        "products by mma, not by wgmma",
    ),
    "stores of two bytes": Bug(
        _PASSES,
        "    size = tl.multiple_of(size, BN)\n    i, span = block * BM + tl.arange(0, BM), "
        "tl.arange(0, BN)\n    rows, there = tl.load(problems.here + b) + tl.minimum(i, n - 1), "
        "tl.load(problems.there + b)\n    least",
        "    i, span = block * BM + tl.arange(0, BM), tl.arange(0, BN)\n    rows, there = "
        "tl.load(problems.here + b) + tl.minimum(i, n - 1), tl.load(problems.there + b)\n    least",
        ("aot", "90", "--only", "keep_costs write: mixed, D 512"),
        "stores of two bytes",
    ),
    "sums read before their products": Bug(
        _TILES,
        _THREE_PRODUCTS,
        _ONE_LOOP,
        ("aot", "100", "--only", "log_sums exact: features, D 512"),
        "is read or written before its products are there",
    ),
}
"""What passes are compiled to."""

BUGS = MEMORY | DEVICES | COUNTS | COMPILED


def noticed(bug: Bug) -> str:
    """What the check says of the bug; empty where it does not notice."""
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            leave = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, Path(folder, name), symlinks=True, ignore=leave)
        file = Path(folder, bug.file)
        code = file.read_text()
        assert code.count(bug.text) == 1, f"{bug.file} has not this once: {bug.text}"
        file.write_text(code.replace(bug.text, bug.instead, 1))
        check, *arguments = bug.check
        ran = subprocess.run(
            [sys.executable, "-m", f"benchmarks.gpu_checks.{check}", *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": folder},
            capture_output=True,
            text=True,
        )
    lines = [line for line in (ran.stdout + ran.stderr).splitlines() if bug.says in line]
    return lines[0] if ran.returncode and lines else ""


def main() -> None:
    letters, missed = " ".join(sys.argv[1:]), []
    for name in (name for name in BUGS if letters in name):
        said = noticed(BUGS[name])
        print(f"{name:44s} {said[:140] or 'NOT NOTICED'}", flush=True)
        missed += [] if said else [name]
    if missed:
        raise SystemExit(f"no check notices: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
