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
_DEVICES = "tensors on cuda:0 and cpu"

BUGS = {
    "barrier left out": Bug(
        "kernels/gpu/passes.py",
        "            tl.debug_barrier()  # what is stored here is read again for the next rows\n",
        "",
        ("memcheck", "wide steps"),
        "of what was stored since the last barrier",
    ),
    "store without a mask": Bug(
        "kernels/gpu/passes.py",
        "tl.store(peaks + to, peak, mask=i < n)",
        "tl.store(peaks + to, peak)",
        _RAGGED,
        "two programs write one address",
    ),
    "rows beyond the last": Bug(
        "kernels/gpu/passes.py",
        "rows = tl.load(problems.here + b) + tl.minimum(i, n - 1)\n    there, column",
        "rows = tl.load(problems.here + b) + i\n    there, column",
        _RAGGED,
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
        "kernels/gpu/passes.py",
        'score = tl.load(log_b + column + span, mask=span < m, other=float("-inf"))',
        "score = tl.load(log_b + column + span)",
        _RAGGED,
        "load out of bounds",
    ),
    "padding of kept costs that is not written": Bug(
        "kernels/gpu/passes.py",
        "inside = (i < n)[:, None] & (j < pitch)[None, :]\n            tl.store(kept.costs",
        "inside = (i < n)[:, None] & (j < m)[None, :]\n            tl.store(kept.costs",
        _RAGGED,
        "load of unset memory",
    ),
    "all partial results but the first forgotten": Bug(
        "kernels/gpu/passes.py",
        "for _ in range(tl.load(slots + b)):",
        "for _ in range(1):",
        ("memcheck", "very different sizes"),
        "step, columns",
    ),
    "mask of padding on the host": Bug(
        "kernels/clouds.py", "* inside.to(self.device)", "* inside", (*_TORCH, "pairwise"), _DEVICES
    ),
    "coverage left on the device": Bug(
        "geospot_gpu/engine/solved.py",
        "covered.value.cpu().numpy()",
        "covered.value.numpy()",
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
        "torch.from_numpy(values.astype(np.int32)).to(self.device)",
        "torch.from_numpy(values.astype(np.int32))",
        (*_TRITON, "contributions"),
        "a tensor on the CPU",
    ),
}


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
