"""The methodologies: how many grams an act avoids, by published rule and sourced numbers.

Pure: it knows days, places, quantities and numbers; it does not know people, requests or tables.

What others may call:

- `Library.load(entered)` and, on it, `bind`, `data_type_of`, `behaviors`, `methodology`;
- `Binding`: `methodology`, `basis`, `data_type`, `quantify`, `refusal`, `refusal_for`;
- `recompute(basis, data)`: the grams of a stored result again;
- `exclusion_for(methodology, behaviors)`: the rule that one act bars another;
- `region_named(text)`: the place that a person means;
- `impact_of(before, after, sample)`: who gains and who loses by an entered factor;
- `methodology_views(library, on)`, `factor_views(library, on)`: the library as plain data.
"""

from service.methodologies.basis import Basis, FactorRef, recompute
from service.methodologies.errors import (
    BasisUnreadable,
    BehaviorUnknown,
    FactorEntryInvalid,
    MethodologyNotFound,
    RegionUnknown,
)
from service.methodologies.factors import EnteredFactor
from service.methodologies.impact import BehaviorImpact, ImpactReport, impact_of
from service.methodologies.library import Binding, Library
from service.methodologies.methodology import (
    ActivityData,
    Cap,
    Methodology,
    OncePer,
    Plausibility,
    exclusion_for,
)
from service.methodologies.reasons import REASONS, Reason
from service.methodologies.regions import Region, region_named, region_of, regions
from service.methodologies.views import factor_views, methodology_view, methodology_views

__all__ = [
    "REASONS",
    "ActivityData",
    "Basis",
    "BasisUnreadable",
    "BehaviorImpact",
    "BehaviorUnknown",
    "Binding",
    "Cap",
    "EnteredFactor",
    "FactorEntryInvalid",
    "FactorRef",
    "ImpactReport",
    "Library",
    "Methodology",
    "MethodologyNotFound",
    "OncePer",
    "Plausibility",
    "Reason",
    "Region",
    "RegionUnknown",
    "exclusion_for",
    "factor_views",
    "impact_of",
    "methodology_view",
    "methodology_views",
    "recompute",
    "region_named",
    "region_of",
    "regions",
]
