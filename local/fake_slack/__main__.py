"""Runs the fake Slack on a port: `python -m local.fake_slack --port 4580`."""

import argparse
import sys

from local.fake_slack.server import FakeSlack
from local.listening import run


def main() -> int:
    """Answer until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.fake_slack", description=__doc__)
    parser.add_argument("--stream-lifetime", type=float, default=300.0, help="seconds a text stream lives")
    return run(
        parser,
        port=4580,
        make=lambda told: FakeSlack(told.host, told.port, stream_lifetime=told.stream_lifetime),
        introduce=lambda fake: f"fake Slack: SLACK_API_BASE_URL={fake.base_url}",
    )


if __name__ == "__main__":
    sys.exit(main())
