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

    and with labels ``+ label_weight * class_costs[class, class]``.

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
        label_weight: what moving from a point to one of another label costs besides, for two
            classes that are as far apart as two are on average; not negative. Zero is the same as
            None: labels cost nothing. Regions need labels for it, and :mod:`geospot_gpu.labels`
            says how far apart classes are. One where ``class_costs`` alone is given.
        class_costs: the table of that, K x L numbers that are not negative, between the classes
            of rows on the source side and of columns on the target side
            (``PointArrays.classes``); found once from all regions where it is not given.
        classes: what the rows and columns of the table are: names of classes in text, or the
            lowest numbers of bins. Regions need it; kernels take classes by their positions.

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
    label_weight: float | None = None
    class_costs: tuple[tuple[float, ...], ...] | None = None
    classes: tuple[str, ...] | tuple[float, ...] | None = None

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
        self._settle_classes()

    def _settle_classes(self) -> None:
        """Check what is said of classes, and bring it into one form."""
        checks.settle(self, "cost", label_weight=checks.optional(checks.real))
        if self.label_weight is not None and not 0.0 <= self.label_weight < float("inf"):
            raise GeospotError(f"cost.label_weight={self.label_weight:g} must not be negative")
        if self.label_weight == 0.0:  # one form for what means the same
            for name in ("label_weight", "class_costs", "classes"):
                object.__setattr__(self, name, None)
        if self.labelled and self.scaling != "global":
            name = "label_weight" if self.class_costs is None else "class_costs"
            raise GeospotError(f"cost.{name} need one scale: set cost.scaling=global")
        if self.class_costs is not None:
            table = tuple(tuple(float(cost) for cost in row) for row in self.class_costs)
            object.__setattr__(self, "class_costs", table)
            if not table or not table[0] or len({len(row) for row in table}) > 1:
                raise GeospotError("cost.class_costs must be a table: rows of equally many numbers")
            if not all(0.0 <= cost < float("inf") for row in table for cost in row):
                raise GeospotError("cost.class_costs must be numbers that are not negative")
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(self.classes))
            shape = (len(self.classes),) * 2
            if self.class_costs is None or shape != (
                len(self.class_costs),
                len(self.class_costs[0]),
            ):
                raise GeospotError(
                    f"cost.classes has {shape[0]} classes: give cost.class_costs with a row and a "
                    "column for each"
                )

    @property
    def labelled(self) -> bool:
        """Whether labels enter the cost."""
        return self.label_weight is not None or self.class_costs is not None

    @property
    def class_table(self) -> tuple[tuple[float, ...], ...] | None:
        """What labels add to the cost, K x L, with their weight; None where there is no table."""
        if self.class_costs is None or self.label_weight is None:
            return self.class_costs
        return tuple(tuple(self.label_weight * cost for cost in row) for row in self.class_costs)

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


def check_without_labels(cost: GroundCost, what: str) -> None:
    """Raise where labels enter the cost of something that does not know them.

    Args:
        cost: the ground cost.
        what: does not, for the message.
    """
    if cost.labelled:
        name = "class_costs" if cost.label_weight is None else "label_weight"
        raise GeospotError(f"{what} knows no costs between labels: leave out cost.{name}")


def check_one_scale(cost: GroundCost) -> None:
    """Raise where every pair has a scale of its own, so that costs of different pairs differ."""
    if cost.scaling != "global":
        raise GeospotError(
            f"cost.scaling={cost.scaling} gives every pair a scale of its own, so that distances "
            "do not compare: set cost.scaling=global"
        )
