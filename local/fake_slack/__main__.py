"""Runs the fake Slack on a port: `python -m local.fake_slack --port 4580`."""

import argparse
import sys

from local.fake_slack.server import FakeSlack


def main() -> int:
    """Answer until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.fake_slack", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4580)
    parser.add_argument("--stream-lifetime", type=float, default=300.0, help="seconds a text stream lives")
    given = parser.parse_args()
    try:
        slack = FakeSlack(given.host, given.port, stream_lifetime=given.stream_lifetime)
    except OSError as error:
        print(f"the fake Slack cannot listen on {given.host}:{given.port}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"fake Slack: SLACK_API_BASE_URL={slack.base_url}", flush=True)
    try:
        slack.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        slack.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
