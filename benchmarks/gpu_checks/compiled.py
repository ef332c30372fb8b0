"""A pass of Triton compiled ahead of time, and what its machine code says."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from benchmarks.gpu_checks.cards import LIMITS
from benchmarks.gpu_checks.launches import Launch

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
"""Triton brings NVIDIA's assembler and disassembler."""

_ALIGNED = [["tt.divisibility", 16]]  # as torch allocates
_OPERATION = re.compile(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\d+ )?([A-Z0-9_.]+)", re.MULTILINE)
_MATRIX = {
    "wgmma": r"wgmma\.mma_async",
    "tcgen05": r"tcgen05\.mma",
    "mma": r"(?<!g)mma\.sync",
}


SPILLS = 48
"""Instructions of a pass that may move registers to memory and back: less than one for each of the
64 costs that a thread has, beside the fifty or more that each takes anyway."""

WIDE = 64
"""Features from which on a product has to run on the newest matrix units of a card."""
_NEWEST = {80: "mma", 86: "mma", 89: "mma", 90: "wgmma", 100: "tcgen05", 120: "mma"}

_MOVED = re.compile(r"(%\S+) = ttg\.memdesc_\w+ (%[\w#]+)")
_PRODUCT = re.compile(r"ttng\.tc_gen5_mma %[\w#]+, %[\w#]+, (%[\w#]+)")
_TOUCHED = re.compile(r"ttng\.tmem_(?:load|store (?:%[\w#]+),) (%[\w#]+)")


class Compiled(NamedTuple):
    """What a pass needs of a card."""

    label: str
    architecture: int
    warps: int
    registers: int
    """Of a thread."""
    stack: int
    """Bytes of a thread."""
    spills: int
    """Instructions that move registers to memory and back."""
    shared: int
    """Bytes of a block."""
    blocks: int
    """That a multiprocessor holds at once; zero where the shared memory of one is too much."""
    matrix: str
    """Kind of instruction for matrix products, or nothing."""
    instructions: int
    """In the code."""
    per_cost: float | None
    """Of them, for each cost that a thread has; None where there are no costs."""
    special: int
    """Instructions of the slow unit: exponentials, roots, and numbers of 16 bits made float."""
    operations: dict[str, int]
    loads: dict[str, int]
    """From memory, by width."""
    stores: dict[str, int]
    early: list[str]
    """Sums in tensor memory that are read or written while products are still added to them."""
    constants: dict[str, Any]

    @property
    def fits(self) -> bool:
        """Whether a block has enough shared memory."""
        return self.shared <= LIMITS[self.architecture].block

    @property
    def costs_per_thread(self) -> float | None:
        """How many costs of a tile one thread has."""
        if "BM" not in self.constants:
            return None
        return float(self.constants["BM"] * self.constants["BN"] / (self.warps * 32))


def violations(row: Compiled) -> list[str]:
    """What a pass may not be, in one clause each; empty if all is well."""
    limit, constants = LIMITS[row.architecture].block, row.constants
    wrong = []
    if not row.fits:
        wrong.append(f"needs {row.shared} bytes of shared memory, a block may have {limit}")
    if row.spills > SPILLS:
        wrong.append(f"{row.spills} instructions move registers to memory, of at most {SPILLS}")
    if constants.get("KIND") and constants["D"] >= WIDE and row.matrix != _NEWEST[row.architecture]:
        wrong.append(f"products by {row.matrix or 'none'}, not by {_NEWEST[row.architecture]}")
    if constants.get("WRITE") and (narrow := _narrow(row.stores)):
        wrong.append(f"{narrow} stores of two bytes")
    wrong += [f"{name} is read or written before its products are there" for name in row.early]
    return wrong


def _narrow(accesses: dict[str, int]) -> int:
    """How many of the accesses are of two bytes."""
    return sum(n for name, n in accesses.items() if re.search(r"\.global\.[bu]16$", name))


def touched_early(ttgir: str) -> list[str]:
    """Sums in tensor memory that are touched while a product may still be added to them.

    Triton's intermediate code is read from top to bottom, each loop once. Products end in the order
    in which they begin, so a wait is for the oldest of those that nothing has waited for.
    """
    early, running = [], list[str]()
    same: dict[str, str] = {}
    for line in ttgir.splitlines():
        if found := _MOVED.search(line):
            same[found[1]] = same.get(found[2], found[2])
        elif found := _PRODUCT.search(line):
            running.append(same.get(found[1], found[1]))
        elif "ttng.wait_barrier" in line:
            running = running[1:]
        elif (found := _TOUCHED.search(line)) and same.get(found[1], found[1]) in running:
            early.append(found[1])
    return early


def problem() -> str | None:
    """Why nothing can be compiled here, in one clause; None if it can."""
    missing = [name for name in ("ptxas", "cuobjdump", "nvdisasm") if not (TOOLS / name).exists()]
    return f"this Triton brings no {', '.join(missing)}" if missing else None


def assembled(launch: Launch, architecture: int) -> Any:
    """What Triton makes of a pass: ``asm`` has every stage, ``metadata`` the rest."""
    names = list(launch.function.arg_names)
    attributes: dict[tuple[int, ...], Any] = {}
    for position, (_, kind) in enumerate(launch.types):
        if isinstance(kind, tuple):
            attributes |= {(position, field): _ALIGNED for field in range(len(kind))}
        elif kind.startswith("*"):
            attributes[(position,)] = _ALIGNED
    source = ASTSource(
        launch.function,
        signature=dict(launch.types),
        constexprs={(names.index(name),): value for name, value in launch.constants},
        attrs=attributes,
    )
    target = GPUTarget("cuda", architecture, 32)
    return triton.compile(source, target=target, options=dict(launch.options))


def compile_launch(launch: Launch, architecture: int) -> Compiled:
    """Compile a pass for an architecture that need not be here."""
    made = assembled(launch, architecture)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        usage = _tool("cuobjdump", "--dump-resource-usage", file.name)
        code = _tool("nvdisasm", "-c", file.name)
    ptx, warps, shared = made.asm["ptx"], int(made.metadata.num_warps), int(made.metadata.shared)
    operations = Counter(_OPERATION.findall(code))
    heads: Counter[str] = Counter()
    for name, count in operations.items():
        heads[name.split(".")[0]] += count
    registers = _number(usage, r"REG:(\d+)")
    constants, limits = dict(launch.constants), LIMITS[architecture]
    compiled = Compiled(
        label=launch.label,
        architecture=architecture,
        warps=warps,
        registers=registers,
        stack=_number(usage, r"STACK:(\d+)"),
        spills=heads["STL"] + heads["LDL"],
        shared=shared,
        blocks=limits.blocks(registers, shared, warps) if shared <= limits.block else 0,
        matrix=next((kind for kind, name in _MATRIX.items() if re.search(name, ptx)), ""),
        instructions=heads.total(),
        per_cost=None,
        special=heads["MUFU"] + sum(n for k, n in operations.items() if k.startswith("I2F.U16")),
        operations=dict(heads.most_common(16)),
        loads=dict(Counter(re.findall(r"ld\.global[\w.:]*", ptx)).most_common()),
        stores=dict(Counter(re.findall(r"st\.global[\w.:]*", ptx)).most_common()),
        early=touched_early(made.asm["ttgir"]),
        constants=constants,
    )
    costs = compiled.costs_per_thread
    return compiled._replace(per_cost=round(heads.total() / costs, 1) if costs else None)


def _tool(name: str, *arguments: str) -> str:
    ran = subprocess.run(
        [str(TOOLS / name), *arguments], capture_output=True, text=True, check=True
    )
    return ran.stdout


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, text
    return int(found[1])
