"""What a pool of workers is, and what it asks of a job: the contract of all pools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)
Computed = TypeVar("Computed")


class Worker(Protocol[Item_contra, Computed, Result_co]):
    """Does items one after another, where its device is.

    Each of its methods is called in one thread, always the same; the two of them in two.
    """

    def compute(self, item: Item_contra) -> Computed:
        """What an item gives; it has the device for itself."""

    def store(self, computed: Computed) -> Result_co:
        """Store it, while the next item may be computed, and say so in a few words.

        An item may be stored twice, by two workers: the second time has to change nothing.
        """


class Job(Protocol[Item_contra, Result_co]):
    """Plain data that all items share; arrays in it are not to be written to.

    It reaches each machine once, where all workers read the same memory.
    """

    def worker(self, device: str) -> Worker[Item_contra, Any, Result_co]:
        """One who does items of this job on a device, which is ``cpu`` or ``cuda:0``."""


class Pool(Protocol):
    """Workers, from the beginning of a ``with`` block to its end; several jobs may follow."""

    @property
    def device_type(self) -> str:
        """What its workers compute on: ``cpu`` or ``cuda``."""

    @property
    def workers(self) -> int:
        """How many there are, or will be."""

    @property
    def shares(self) -> int:
        """Into how many items work should be cut, so that all workers have some to the end."""

    def run(
        self,
        job: Job[Item, Result],
        items: Sequence[Item],
        costs: Sequence[float],
        name: Callable[[Item], str],
    ) -> Iterator[tuple[int, Result]]:
        """Do items, each of which is done once.

        Args:
            job: what they share.
            items: plain data, small beside what they cost.
            costs: of each item, in proportion to the time that it takes.
            name: what to call an item, for messages.

        Yields:
            Index of an item and what storing it returned, as they end: that is on disk then.

        Raises:
            GeospotError: items failed. What was yielded is done nevertheless.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
