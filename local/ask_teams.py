"""Plays Microsoft Teams for one question in the demo person's chat: signs and posts it, and shows the answer.

`make ask PLATFORM=teams TEXT="…"` calls it; everything it needs to know is in the stack file of `make run`.
"""

import argparse
import sys
import time
from pathlib import Path

import urllib3

from local.fake_teams import payloads
from local.fake_teams.demo import DEMO
from local.stack import Stack

_QUIET_SECONDS = 1.0  # without a change, after which what stands is the whole answer


def ask(stack: Stack, text: str, seconds: float) -> bool:
    """Put one question and print its answer; whether one came."""
    url = stack.fake_teams_url
    activity_id = payloads.new_id()
    said = {"conversation": DEMO.personal_id, "text": text, "id": activity_id}
    change = urllib3.request("POST", f"{url}/_fake/messages", json=said).json()["change"]
    token = urllib3.request("POST", f"{url}/_fake/sign", json={}).json()["token"]
    activity = payloads.message(text, payloads.personal(), activity_id=activity_id, serviceUrl=f"{url}/emea/")
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    taken = urllib3.request(
        "POST", f"{stack.api_url}/teams/messages", body=payloads.body_of(activity), headers=headers, timeout=30
    )
    if taken.status != 200:
        print(f"the webhook answered {taken.status}", file=sys.stderr)
        return False
    return _follow(url, change, seconds)


def _follow(url: str, after: int, seconds: float) -> bool:
    """Print the answer as it arrives, until it has stood for a while."""
    deadline = time.monotonic() + seconds
    shown, quiet_since, is_done = "", time.monotonic(), False
    while time.monotonic() < deadline and not (is_done and time.monotonic() - quiet_since > _QUIET_SECONDS):
        fields = {"conversation": DEMO.personal_id, "after": str(after), "timeout": "1"}
        seen = urllib3.request("GET", f"{url}/_fake/watch", fields=fields, timeout=10).json()
        answers = [each for each in seen["messages"] if each["change"] > after]
        text = "\n\n".join(each["text"] for each in answers)
        if text != shown:
            print(text.removeprefix(shown) if text.startswith(shown) else f"\n{text}", end="", flush=True)
            shown, quiet_since = text, time.monotonic()
        is_done = bool(answers) and not any(each["is_streaming"] for each in answers)
    print()
    return is_done


def main() -> int:
    """0 when the answer is complete."""
    parser = argparse.ArgumentParser(prog="python -m local.ask_teams", description=__doc__.splitlines()[0])
    parser.add_argument("--text", default="")
    parser.add_argument("--as", dest="who", default="", help="not for Teams: the demo person asks")
    parser.add_argument("--thread", default="", help="not for Teams: a personal chat has no threads")
    parser.add_argument("--timeout", default="")
    parser.add_argument("--stack", type=Path, default=Path(".local/stack.json"))
    given = parser.parse_args()
    stack = Stack.read(given.stack)
    if stack is None or not given.text.strip():
        print("no stack is running here: start it with make run" if given.text else "there is nothing to ask")
        return 1
    try:
        return 0 if ask(stack, given.text.strip(), float(given.timeout or 120)) else 1
    except urllib3.exceptions.HTTPError as error:
        print(f"no answer from the stack: {type(error).__name__}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
