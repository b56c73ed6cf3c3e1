"""Runs the fake services on a port: `python -m local.fake_tools --port 4590`."""

import argparse
import sys

from local.fake_tools.server import FakeTools


def main() -> int:
    """Answer until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.fake_tools", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4590)
    given = parser.parse_args()
    try:
        tools = FakeTools(given.host, given.port)
    except OSError as error:
        print(f"the fake services cannot listen on {given.host}:{given.port}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"fake services: API {tools.api_url}, document {tools.url}/openapi.json, MCP {tools.mcp_url}", flush=True)
    try:
        tools.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        tools.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
