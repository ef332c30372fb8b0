"""What is solved of pairs beside the transport between the two regions, where it is asked for."""

from typing import Literal

Need = Literal["self_terms", "half_samples", "coverage", "nearest"]
"""Self terms are solved by region, the others with each pair."""
