"""`make contract` prints the cases that every platform has to pass, and who cannot have which, before it runs them."""

import ops  # noqa: F401 - puts the rooms on the path
from tests.contract.cases import listing

print(listing())
