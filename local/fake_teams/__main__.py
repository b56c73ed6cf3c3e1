"""Runs the fake Teams on a port: `python -m local.fake_teams --port 4583`."""

import argparse
import sys

from local.fake_teams.server import FakeTeams


def main() -> int:
    """Answer until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.fake_teams", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4583)
    given = parser.parse_args()
    try:
        teams = FakeTeams(given.host, given.port)
    except OSError as error:
        print(f"the fake Teams cannot listen on {given.host}:{given.port}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"fake Teams: {teams.url}", flush=True)
    try:
        teams.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        teams.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
