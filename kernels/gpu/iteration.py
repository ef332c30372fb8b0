"""One iteration of a batch of problems: its launches."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from geospot_gpu.kernels.contract import IterationSettings, Side
from geospot_gpu.kernels.gpu import finish, steps
from geospot_gpu.kernels.gpu.batch import Batch
from geospot_gpu.kernels.gpu.finish import COLUMNS, NEITHER, ROWS, State

_WARP_COLUMNS, _WIDE_WARPS = 256, 8
"""Columns of a warp of a step, 8 in each thread: what is known of a row then is there in few of
them. Warps where rows are read twice."""
_FINISH = ((64, 1), (256, 2), (1024, 4))
"""Potentials that the program at the end of an iteration has at once, and its warps."""


def step(
    batch: Batch,
    state: State,
    settings: IterationSettings,
    damped: Side,
    mode: int,
    *,
    exact: bool,
    quick: bool,
) -> None:
    """One iteration of the problems in a mode.

    Args:
        state: what it reads and writes.
        settings: how to iterate.
        damped: the side whose softmins are multiplied by ``settings.damping``; of costs that
            are not kept, the source side.
        mode: of the problems that it is for.
        exact: on costs to 22 bits.
        quick: by a quick step over kept costs.
    """
    on_rows = settings.damping if damped == "source" else 1.0
    if batch.keeps and not exact:
        partials = _kept_step(batch, state, on_rows, mode, quick=quick)
        part, slots = batch.bands.part, batch.bands.slots
        fold = batch.whole
        if not fold:  # many partial sums: one program per problem would be long at it
            view = batch.view("target")
            batch.fold_logs(view, part, slots, state.mode, partials, state.next_g, mode=mode)
    else:
        relax = state.f, state.omega, state.after
        batch.softmin(
            state.g, "source", state.softmin_f, relax,
            mode=state.mode, damping=on_rows, exact=exact,
        )  # fmt: skip
        view, fold = batch.view("target"), True
        partials = batch.log_sums(state.after, "target", state.mode, exact=exact)
        part, slots = view.part, view.slots
    _finish(batch, state, settings, damped, mode, partials, (part, slots), FOLD=fold, QUICK=quick)


def _kept_step(
    batch: Batch, state: State, damping: float, mode: int, *, quick: bool
) -> tuple[Tensor, Tensor]:
    """Softmins of rows, and partial sums of columns against the relaxed potential."""
    bands, partials = batch.bands, batch.partials("bands")
    rows, columns = bands.tile
    weights = (
        (batch.source.weight, batch.target.weight) if quick else tuple(batch.log_weight.values())
    )
    whole = {} if quick else {"WHOLE": batch.whole}
    batch.launch(
        steps.quick_step if quick else steps.kept_step,
        bands.work,
        batch.problems(batch.view("source"))._replace(part=bands.part, chunk=bands.share),
        batch.kept,
        state.f,
        state.g,
        *weights,
        state.omega,
        state.mode,
        state.softmin_f,
        state.after,
        *(partials[1:] if quick else partials),
        1.0 / batch.unit,
        batch.unit,
        damping,
        state.f.shape[1],
        state.g.shape[1],
        mode,
        **whole,
        BM=rows,
        BN=columns,
        num_warps=max(1, columns // _WARP_COLUMNS) if batch.whole else _WIDE_WARPS,
    )
    return partials


def _finish(
    batch: Batch,
    state: State,
    settings: IterationSettings,
    damped: Side,
    mode: int,
    partials: tuple[Tensor, Tensor],
    places: tuple[Tensor, Tensor],
    **constants: Any,
) -> None:
    damping, side = settings.damping, NEITHER
    if damping != 1.0:
        side = ROWS if damped == "source" else COLUMNS
    part, slots = places
    widest = max(state.f.shape[1], state.g.shape[1])
    block, warps = next((pair for pair in _FINISH if pair[0] >= widest), _FINISH[-1])
    batch.launch(
        finish.finish,
        batch.each,
        batch.problems(batch.view("source"))._replace(part=part),
        slots,
        batch.source.weight,
        batch.target.weight,
        *partials,
        state,
        settings.tolerance,
        1.0 / batch.unit,
        batch.unit,
        damping,
        batch.unit * damping / (1.0 - damping) if damping != 1.0 else 1.0,
        state.f.shape[1],
        state.g.shape[1],
        mode,
        DAMPED=side.value,
        SYMMETRIC=settings.symmetric,
        RELAXED=settings.relaxed and not settings.symmetric,
        BLOCK=block,
        num_warps=warps,
        **constants,
    )
