"""The ground cost: what it takes to move a unit of mass from one point to another."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from geospot_gpu.errors import GeospotError, checks
from geospot_gpu.feature_costs import BUILT_IN, find
from geospot_gpu.sphere import HALF_CIRCUMFERENCE_KM

Scaling = Literal["global", "pair_max"]


@dataclass(frozen=True)
class GroundCost:
    """Cost of moving mass between two points, mixed from features and geography.

    ``(1 - geo_weight) * feature_cost / feature_scale + geo_weight * great_circle_km / geo_scale``

    The object only declares the cost; kernels evaluate it, tile by tile.

    Args:
        feature: cost between feature vectors: ``cosine`` (1 - x.y of unit vectors, in [0, 2]),
            ``sqeuclidean``, ``euclidean``, or the name of one of your own
            (:func:`~geospot_gpu.register_feature_cost`).
        geo_weight: share of geography, in [0, 1]; 0 is features only, 1 geography only.
        feature_scale: unit of the feature cost.
        geo_scale: unit of the great-circle distance in km; half the Earth's circumference unless
            given.
        scaling: ``global`` keeps the two scales for every pair, so that distances compare across
            pairs. ``pair_max`` divides each part by its largest value within the pair and the
            mixture by its own largest value again, as the published GeoSpOT code does; such
            distances do not compare across pairs.
        class_costs: what moving from a point of one class to a point of another costs besides,
            K x L numbers that are not negative; None where points have no classes. Kernels take
            the class of each point from ``PointArrays.classes``: a row's on the source side, a
            column's on the target side.

    Raises:
        GeospotError: a value lies outside its range.

    >>> GroundCost(geo_weight=1.0).epsilon_km(0.01)
    200.15114...
    """

    feature: str = "cosine"
    geo_weight: float = 0.5
    feature_scale: float = 1.0
    geo_scale: float = HALF_CIRCUMFERENCE_KM
    scaling: Scaling = "global"
    class_costs: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        find(self.feature)
        checks.one_of(self.scaling, get_args(Scaling), "cost.scaling")
        real = checks.real
        checks.settle(self, "cost", geo_weight=real, feature_scale=real, geo_scale=real)
        if not 0.0 <= self.geo_weight <= 1.0:
            raise GeospotError(f"cost.geo_weight={self.geo_weight} must lie in [0, 1]")
        for name in ("feature_scale", "geo_scale"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise GeospotError(f"cost.{name}={getattr(self, name)} must be positive")
        if self.own_feature and self.scaling != "global":
            raise GeospotError(
                f"cost.feature={self.feature} needs one scale: set cost.scaling=global"
            )
        if self.class_costs is not None:
            table = tuple(tuple(float(cost) for cost in row) for row in self.class_costs)
            object.__setattr__(self, "class_costs", table)
            if not table or not table[0] or len({len(row) for row in table}) > 1:
                raise GeospotError("cost.class_costs must be a table: rows of equally many numbers")
            if not all(0.0 <= cost < float("inf") for row in table for cost in row):
                raise GeospotError("cost.class_costs must be numbers that are not negative")
            if self.scaling != "global":
                raise GeospotError("cost.class_costs need one scale: set cost.scaling=global")

    @property
    def uses_features(self) -> bool:
        """Whether feature vectors enter the cost at all."""
        return self.geo_weight < 1.0

    @property
    def own_feature(self) -> bool:
        """Whether feature vectors enter it by a cost that a user has registered."""
        return self.uses_features and all(self.feature != known.name for known in BUILT_IN)

    @property
    def uses_geography(self) -> bool:
        """Whether great-circle distances enter the cost at all."""
        return self.geo_weight > 0.0

    @property
    def exchanged(self) -> "GroundCost":
        """The same cost where source and target are the other way round."""
        if self.class_costs is None:
            return self
        return replace(self, class_costs=tuple(zip(*self.class_costs, strict=True)))

    def epsilon_km(self, epsilon: float) -> float | None:
        """The great-circle distance in km that costs ``epsilon``; None without geography."""
        epsilon = checks.number(epsilon, "epsilon")
        if not self.uses_geography or self.scaling == "pair_max":
            return None
        return epsilon * self.geo_scale / self.geo_weight


def check_self_terms(cost: GroundCost) -> None:
    """Raise where costs within a cloud differ by the side that a point is on."""
    if cost.exchanged != cost:
        raise GeospotError(
            "cost.class_costs are others from target to source than from source to target, so that "
            "there are no self terms: give a square, symmetric table, or ask for no divergences"
        )


def check_one_scale(cost: GroundCost) -> None:
    """Raise where every pair has a scale of its own, so that costs of different pairs differ."""
    if cost.scaling != "global":
        raise GeospotError(
            f"cost.scaling={cost.scaling} gives every pair a scale of its own, so that distances "
            "do not compare: set cost.scaling=global"
        )
