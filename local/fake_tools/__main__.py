"""Runs the fake services on a port: `python -m local.fake_tools --port 4590`."""

import argparse
import sys

from local.fake_tools.server import FakeTools
from local.listening import run


def main() -> int:
    """Answer until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.fake_tools", description=__doc__)
    return run(
        parser,
        port=4590,
        make=lambda told: FakeTools(told.host, told.port),
        introduce=lambda fake: f"fake services: {fake.api_url}, {fake.url}/openapi.json, {fake.mcp_url}",
    )


if __name__ == "__main__":
    sys.exit(main())
