"""How hard properties are tried: `pytest tests/properties --hypothesis-profile=deep`, by night."""

from hypothesis import settings

settings.register_profile("deep", max_examples=2_000, stateful_step_count=80, deadline=None)
