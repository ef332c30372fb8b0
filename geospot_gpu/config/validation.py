"""Checks of settings that no schema can make: what is no number, and what has no effect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from geospot_gpu.errors import GeospotError

_LARGEST = 2**53
"""Whole numbers up to here are exact in every type of number."""


def check_numbers(config: Any, prefix: str = "") -> None:
    """Raise where a number is none, or larger than any array can be."""
    for name, value in vars(config).items():
        if is_dataclass(value):
            check_numbers(value, f"{prefix}{name}.")
        elif isinstance(value, float) and math.isnan(value):
            raise GeospotError(f"{prefix}{name}=nan is no number: give one")
        elif isinstance(value, int) and abs(value) > _LARGEST:
            raise GeospotError(f"{prefix}{name}={value} is too large: give at most {_LARGEST}")


def refuse_unused(config: Any, default: Any, needed: Mapping[str, str]) -> None:
    """Raise where a setting that has no effect differs from its default.

    Args:
        config, default: settings of one schema.
        needed: what each of the settings that have no effect would need.

    Raises:
        GeospotError: one of them is given.
    """
    for key, condition in needed.items():
        value, usual = config, default
        for name in key.split("."):
            value, usual = getattr(value, name), getattr(usual, name)
        if value != usual:
            raise GeospotError(f"{key}={_shown(value)} has no effect without {condition}")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
