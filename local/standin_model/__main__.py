"""Runs the stand-in model in the foreground until it is interrupted."""

import argparse
import signal
import sys
import threading

from local.standin_model.running import StandInModel
from local.standin_model.script import DIRECTIVES

_KEEP_REQUESTS = 100


def main() -> int:
    """Serve until SIGINT or SIGTERM; 1 if the port is taken."""
    parser = argparse.ArgumentParser(
        prog="python -m local.standin_model",
        description="An OpenAI-compatible server that answers by fixed rules and says so.",
        epilog=f"In a message it understands:\n\n{DIRECTIVES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, default=4010, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no line per request")
    options = parser.parse_args()

    stopped = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stopped.set())
    log = None if options.quiet else _print_line
    try:
        with StandInModel(host=options.host, port=options.port, keep_requests=_KEEP_REQUESTS, log=log) as model:
            print(f"Stand-in model on {model.base_url} (any key, any model name). Ctrl-C ends it.", flush=True)
            stopped.wait()
    except OSError as error:
        print(f"Cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _print_line(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
