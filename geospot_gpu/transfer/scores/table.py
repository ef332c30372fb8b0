"""Tables of scores in the forms that people publish: a row per pair, or a matrix."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geospot_gpu.errors import GeospotError
from geospot_gpu.files.tables import RawTable
from geospot_gpu.names import Names, labels, match_names, name_key, unified
from geospot_gpu.transfer.scores.cells import numbers
from geospot_gpu.transfer.scores.together import Pairs, Unions, match_sources

log = logging.getLogger("geospot_gpu")

Role = Literal["source", "target", "score"]
ROLES: tuple[Role, ...] = ("source", "target", "score")
_WORDS: Mapping[str, frozenset[str]] = {
    "source": frozenset({"source", "src", "train", "trained", "training", "from"}),
    "target": frozenset(
        {"target", "tgt", "test", "tested", "testing", "eval", "evaluated", "evaluation", "to"}
    ),
    "score": frozenset(
        {"score", "value", "metric", "accuracy", "acc", "oa", "auc", "auroc", "f1", "iou", "miou"}
        | {"map", "kappa", "mcc", "r2", "nse", "rmse", "mse", "mae", "error", "loss"}
    ),
}
_BESIDE = frozenset(
    {"n", "count", "se", "sem", "sd", "std", "stderr", "var", "ci", "lower", "upper", "p"}
    | {"seed", "fold", "rank"}
)
"""Words of columns that say something about a score and are none."""
_SAMPLES = frozenset({"n", "samples", "count", "support"})
_STD_ERRORS = frozenset({"se", "sem", "stderr", "stderror", "standarderror"})
"""Headers, without signs, of columns that can be nothing but standard errors."""
_AVERAGES = frozenset({"average", "avg", "mean", "overall", "total"})
_NO_HEADER = re.compile(r"\s*|Unnamed: \d+|index")
"""What an index without a name is called."""
_LISTED = 5


def read_pairs(
    table: RawTable, where: str, given: Mapping[Role, str | None], regions: Sequence[str],
    whose: str = "the sweep does not",
) -> Pairs:  # fmt: skip
    """The pairs of a table that have a score.

    A column is found by the words in its header, which may be parted by blanks, signs or capitals:
    ``train_country`` names the source, ``Test AUC`` is a score, for a word for scores counts more
    than one for regions. A header that is the very word ``source``, ``target`` or ``score`` goes
    before others, then the one with most regions in its cells. Columns of counts, errors, seeds and
    folds are none of these. Where a table has no columns for target and score it is a matrix: rows
    are sources, columns are targets.

    Args:
        table: as it was read.
        where: what it is, for messages.
        given: the headers that were named.
        regions: all names that it may have.
        whose: who does not have others, for messages.

    Returns:
        The pairs, with the unions that are among them; of ``weight``, how many samples the score
        rests on, and ``std_error`` NaN where there is no such column.

    Raises:
        GeospotError: it is not known what the columns are, a name is no region, a cell no number,
            or there is no score at all.
    """
    known = pd.Series(list(regions), dtype="string")
    columns = _Columns(table, where, known)
    chosen = {role: columns.named(role, given[role]) for role in ROLES}
    if given["target"] or given["score"] or (columns.words("target") and columns.words("score")):
        pairs = _listed(
            columns, {role: columns.find(role) if k is None else k for role, k in chosen.items()}
        )
    else:
        pairs = _matrix(columns, chosen["source"])
    pairs, unions = _positions(pairs, where, known, table.row, whose)
    names = [*regions, *unions]

    def cell(name: str) -> Any:
        def named(k: int) -> str:
            source, target = (names[pairs[side].iloc[k]] for side in ROLES[:2])
            between = f"{source} to {target}"
            return f"{where}: {table.row} {pairs.index[k]} ({between}): {name}"

        return named

    commas = table.delimiter == ";"
    score = numbers(pairs["score"], f"{where}: scores", cell("score"), commas=commas)
    has = np.isfinite(score)
    if not has.any():
        raise GeospotError(f"{where}: holds no score")
    if not has.all():
        log.warning("%s: %d of %d cells hold no score", where, int((~has).sum()), len(has))
    pairs = pairs.assign(written=pairs["score"], score=score)[has]
    if "std_error" in pairs:
        pairs = pairs.assign(std_error=_std_errors(pairs, where, cell, commas))
    else:
        pairs = pairs.assign(std_error=np.nan)
    if "weight" not in pairs:
        return Pairs(pairs.assign(weight=np.nan), unions)
    weight = numbers(pairs["weight"], f"{where}: numbers of samples", cell("n"), commas=commas)
    wrong = np.flatnonzero(~(weight > 0.0))
    if len(wrong):
        raise GeospotError(
            f"{cell('n')(int(wrong[0]))} {weight[wrong[0]]:g} is no number of samples: give a "
            "positive number or leave the column out"
        )
    return Pairs(pairs.assign(weight=weight), unions)


class _Columns:
    """What the columns of a table are."""

    def __init__(self, table: RawTable, where: str, known: pd.Series[Any]) -> None:
        self.table, self.where, self.known = table, where, known
        headers = labels(pd.Series(table.headers, dtype=object))
        self.is_region = (match_names(headers, known) >= 0).tolist()
        self.there = ", ".join(header for header in table.headers[:20] if header.strip())

    def named(self, role: Role, header: str | None) -> int | None:
        """The column that a setting names."""
        if header is None:
            return None
        found = Names(self.table.headers).find(header)
        if found is None:
            raise GeospotError(
                f"{self.where}: scores.{role}={header} is not a column; there are: {self.there}"
            )
        return found

    def words(self, role: Role) -> list[int]:
        """Columns whose headers have a word for a role, where they are no region."""
        return [k for k in range(len(self.table.headers)) if self.role(k) == role]

    def role(self, k: int) -> Role | None:
        header = self.table.headers[k]
        if name_key(header) in ROLES:
            return name_key(header)  # type: ignore[return-value]
        return None if self.is_region[k] else _role(header)

    def find(self, role: Role) -> int:
        """The column of a role, by its header."""
        found = self.words(role)
        for better in (self._exact(found, role), self._of_regions(found, role)):
            found = better if len(found) > 1 and better else found
        if len(found) == 1:
            return found[0]
        clause = self.taken()
        if found:
            several = ", ".join(repr(self.table.headers[k]) for k in found)
            raise GeospotError(
                f"{self.where}: {several} may each be the {role}: name one with "
                f"scores.{role}=...{clause}"
            )
        raise GeospotError(
            f"{self.where}: no column is known for the {role}: name it with scores.{role}=..."
            f"{clause}; there are: {self.there}"
        )

    def taken(self) -> str:
        """What columns would be taken for, in a clause."""
        found = {role: self.words(role) for role in ROLES}
        said = [f"{self.table.headers[k[0]]!r} as {r}" for r, k in found.items() if len(k) == 1]
        return f" (taken: {', '.join(said)})" if said else ""

    def _exact(self, found: list[int], role: Role) -> list[int]:
        spelled = [k for k in found if name_key(self.table.headers[k]) == role]
        return spelled or [k for k in found if name_key(self.table.headers[k]).lower() == role]

    def _of_regions(self, found: list[int], role: Role) -> list[int]:
        if role == "score":
            return []
        counts = [self.regions_in(k) for k in found]
        return [k for k, count in zip(found, counts, strict=True) if count == max(counts) > 0]

    def names(self, k: int) -> pd.Series[Any]:
        """The cells of a column as text."""
        header = self.table.headers[k].strip() or "the column without a header"
        return labels(self.table.cells[k].rename(f"{self.where}: {header}"))

    def regions_in(self, k: int) -> int:
        """How many different regions the cells of a column name."""
        found, _ = match_sources(self.names(k), self.known, self.where)
        return len(np.unique(found[found >= 0]))

    def samples(self) -> int | None:
        """The column that says how many samples a score rests on: ``n``, ``n_test`` and the like.

        All words of its header are such or say that it is of the test.
        """
        test = _WORDS["target"] | {"num", "number", "of"}
        found = [
            k
            for k, header in enumerate(self.table.headers)
            if (words := set(_split(header))) & _SAMPLES and words <= _SAMPLES | test
        ]
        if len(found) > 1:
            found = [k for k in found if name_key(self.table.headers[k]).lower() == "n"] or found
        if len(found) > 1:
            several = ", ".join(repr(self.table.headers[k]) for k in found)
            raise GeospotError(
                f"{self.where}: {several} may each be the number of samples: call one n"
            )
        return found[0] if found else None

    def std_errors(self) -> int | None:
        """The column of standard errors of scores; a spread, which may be of seeds, is none."""
        spelled = ["".join(_split(header)) for header in self.table.headers]
        found = [k for k, header in enumerate(spelled) if header in _STD_ERRORS]
        return found[0] if len(found) == 1 else None


def _std_errors(
    pairs: pd.DataFrame,
    where: str,
    cell: Callable[[str], Callable[[int], str]],
    commas: bool,
) -> NDArray[np.float64]:
    """The column of standard errors, NaN where it holds none, [N]."""
    written = [pairs[name].astype(str).str.contains("%").any() for name in ("written", "std_error")]
    if written[0] != written[1]:
        raise GeospotError(
            f"{where}: scores and their standard errors are not both percentages: write both with "
            "a percent sign, or none"
        )
    found = numbers(
        pairs["std_error"], f"{where}: standard errors", cell("standard error"), commas=commas
    )
    wrong = np.flatnonzero(found < 0.0)
    if len(wrong):
        raise GeospotError(
            f"{cell('standard error')(int(wrong[0]))} {found[wrong[0]]:g} is none: give one of 0 "
            "or more, or leave it out"
        )
    return found


def _split(header: str) -> list[str]:
    """Words of a header in lower case."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", unicodedata.normalize("NFKC", header))
    return re.findall("[a-z0-9]+", parted.lower())


def _role(header: str) -> Role | None:
    words = [*_split(header), *_split(header.lower())]  # mIoU has no words in it
    if _BESIDE & set(words):
        return None
    if _WORDS["score"] & set(words):
        return "score"
    for word in words:  # of "train/test" it is the first
        for role in ROLES[:2]:
            if word in _WORDS[role]:
                return role
    return None


def _listed(columns: _Columns, chosen: Mapping[Role, int]) -> pd.DataFrame:
    """A row per pair: ``source`` and ``target`` as they are written, ``score``, ``weight``."""
    headers, cells = columns.table.headers, columns.table.cells
    samples, errors = columns.samples(), columns.std_errors()
    if len(set(chosen.values())) < len(chosen):
        raise GeospotError(
            f"{columns.where}: one column is named twice by scores.source, scores.target and "
            "scores.score: name three"
        )
    found: dict[str, int] = dict(chosen.items())
    found |= {} if samples is None else {"weight": samples}
    found |= {} if errors is None or errors in chosen.values() else {"std_error": errors}
    if any(headers[k].strip() not in (name, "n") for name, k in found.items()):
        said = [f"{name} is {headers[k]!r}" for name, k in found.items()]
        log.warning(
            "%s: of its columns %s (scores.source=, scores.target= and scores.score= name others)",
            *(columns.where, ", ".join(said)),
        )
    pairs = pd.DataFrame({name: cells[k] for name, k in found.items()})
    return pairs.assign(**{side: columns.names(chosen[side]) for side in ROLES[:2]})


def _matrix(columns: _Columns, given: int | None) -> pd.DataFrame:
    """The same of a matrix; a column without a header beside that of names numbers the rows."""
    headers, cells = columns.table.headers, columns.table.cells
    blank = [
        _NO_HEADER.fullmatch(header) is not None and not region
        for header, region in zip(headers, columns.is_region, strict=True)
    ]
    source = _of_sources(columns, blank) if given is None else given
    targets = [k for k in range(len(headers)) if k != source and not blank[k]]
    if not any(columns.is_region[k] for k in targets):
        raise GeospotError(
            f"{columns.where}: needs the columns source, target and score (name others with "
            "scores.source=, scores.target= and scores.score=), or a matrix with a row per source "
            f"and a column per target{columns.taken()}; there are: {columns.there}"
        )
    called = "the column without a header" if blank[source] else f"the column {headers[source]!r}"
    taken = f"is taken for a matrix: sources from {called}, targets from the other headers"
    if given is None and _role(headers[source]) == "target":
        raise GeospotError(
            f"{columns.where}: {taken}; but that column is one of targets, and rows are sources: "
            "transpose the matrix, or give its column as scores.source=..."
        )
    sources = columns.names(source)
    if not columns.regions_in(source):
        raise GeospotError(
            f"{columns.where}: {taken}; but {called} holds no region of the sweep, as "
            f"{', '.join(map(repr, sources.head(3)))}: put the names of sources there, or name the "
            "columns of a table of pairs with scores.source=, scores.target= and scores.score="
        )
    return pd.concat(
        [
            pd.DataFrame({"source": sources, "target": headers[k], "score": cells[k]})
            for k in targets
        ]
    )


def _of_sources(columns: _Columns, blank: list[bool]) -> int:
    """The column of a matrix that names sources: of those that are no targets the likeliest."""
    others = [k for k, region in enumerate(columns.is_region) if not region] or [0]
    counts = {k: columns.regions_in(k) for k in others}
    return max(
        others, key=lambda k: (counts[k] and columns.role(k) == "source", counts[k], not blank[k])
    )


def _positions(
    pairs: pd.DataFrame, where: str, known: pd.Series[Any], row: str, whose: str
) -> tuple[pd.DataFrame, Unions]:
    """The pairs with regions as positions, and unions; averages over regions are left out."""
    for side in ("source", "target"):
        absent = np.flatnonzero(pairs[side].fillna("").str.strip() == "")
        if len(absent):
            raise GeospotError(f"{where}: {row} {pairs.index[absent[0]]} has no {side}")
    sides = [pairs["source"].astype("string"), pairs["target"].astype("string")]
    written = unified(pd.concat([known, *sides], ignore_index=True), where)[len(known) :]
    at, unions = match_sources(written, known, where)
    written_ = written.to_numpy(object)
    lost = np.array([k < 0 for k in at], bool)
    average = np.array(
        [gone and bool(_AVERAGES & set(_split(n))) for gone, n in zip(lost, written_, strict=True)],
        bool,
    )
    if average.any():
        names = sorted(set(written_[average]))
        log.warning(
            "%s: %s: an average and no region, left out", where, ", ".join(map(repr, names))
        )
    unknown = sorted({" ".join(name.splitlines()) for name in written_[lost & ~average]})
    if unknown:
        more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
        raise GeospotError(
            f"{where}: regions that {whose} have: {', '.join(unknown[:_LISTED])}{more}; "
            f"{Names(known).hint(unknown[0])}"
        )
    source, target = at[: len(pairs)], at[len(pairs) :]
    return pairs.assign(source=source, target=target)[(source >= 0) & (target >= 0)], unions
