"""A chain of evaluations in registers, to measure how many a device makes per second."""

# mypy: disable-error-code="untyped-decorator, no-untyped-def, no-untyped-call"

import triton
import triton.language as tl

from geospot_gpu.kernels.gpu.tiles import _ASIN


@triton.jit
def chain(out, LENGTH: tl.constexpr, ARCSINE: tl.constexpr, BLOCK: tl.constexpr):
    """``LENGTH`` dependent evaluations per value; the BLOCK values are independent."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = at.to(tl.float32) / (at + 7)
    for _ in range(LENGTH):
        if ARCSINE:
            p = tl.zeros_like(x) + _ASIN[0]
            for power in tl.static_range(1, 10):
                p = p * x + _ASIN[power]
            x = tl.sqrt(x) * p * 0.3
        else:
            x = tl.exp2(-x)
    tl.store(out + at, x)
