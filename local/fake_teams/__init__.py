"""A Microsoft Teams for tests and for the developer's cloud: keys, tokens and the connector, over real HTTP."""

from local.fake_teams.demo import DEMO, Demo
from local.fake_teams.server import FakeTeams
from local.fake_teams.state import SeenActivity

__all__ = ["DEMO", "Demo", "FakeTeams", "SeenActivity"]
