"""Properties: the same examples in every run, so that a change fails and not the day. `make explore` looks further."""

import os

from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=3_000)
settings.load_profile("explore" if os.environ.get("EXPLORE") else "same")
