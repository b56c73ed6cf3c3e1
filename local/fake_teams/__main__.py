"""Runs the fake Teams on a port: `python -m local.fake_teams --port 4583`."""

import argparse
import sys

from local.fake_teams.server import FakeTeams
from local.listening import run


def main() -> int:
    """Answer until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.fake_teams", description=__doc__)
    return run(
        parser,
        port=4583,
        make=lambda told: FakeTeams(told.host, told.port),
        introduce=lambda fake: f"fake Teams: {fake.url}",
    )


if __name__ == "__main__":
    sys.exit(main())
