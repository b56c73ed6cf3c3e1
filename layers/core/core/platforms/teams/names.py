"""What the cards of the adapter and the webhook that hears of them agree on."""

from typing import Literal

STOP = "parley.stop"
APPROVE = "parley.approve"
DENY = "parley.deny"
GOOD = "parley.good"
BAD = "parley.bad"

VERBS: dict[str, Literal["", "up", "down", "approve", "deny"]] = {
    STOP: "",
    APPROVE: "approve",
    DENY: "deny",
    GOOD: "up",
    BAD: "down",
}
"""Each verb with the value of the signal that it becomes."""

REFERENCE = "reference"
COMMENT = "comment"
VERB = "verb"  # for clients that know no Action.Execute and submit the data alone
