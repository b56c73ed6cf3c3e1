"""How many tokens a turn takes as its conversation grows: the real handler on moto, with the stand-in model.

Run it with `python -m benchmarks.history [--messages 10 100 1000] [--tokens 12000]`. Each turn is a message through the
webhook and the processor. A row is the turn at whose end the conversation has so many messages: its input tokens as the
stand-in counts them, how many of those it had seen before (what a vendor's prompt cache would), what a prompt with the
whole conversation would have, what the table took, how many other calls (a title, summaries) were made so far, and the
input tokens of everything so far.
"""

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator

import pytest

from core.configuration import Limits
from core.telemetry import logger
from local.standin_model.tokens import count_tokens
from tests.integration.cloud import BUCKET_NAME, REGION, TABLE_NAME, running_cloud
from tests.integration.meter import Meter
from tests.integration.turns.configured import make_settings
from tests.integration.turns.stack import Stack, running_stack

_QUESTION = "Number {0}: how do I file my travel expenses for the trip to the customer in Lisbon, and until when? " * 2


@contextlib.contextmanager
def _stack() -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        with running_cloud(), running_stack(environment, table_name=TABLE_NAME, bucket_name=BUCKET_NAME) as stack:
            yield stack


def _configure(stack: Stack, tokens: int) -> None:
    prompt = "You help {person} of {company}."
    stack.store.directory.put_settings(make_settings(prompt=prompt, limits=Limits(history_tokens=tokens)))


def main() -> None:
    """Print one row per length."""
    parser = argparse.ArgumentParser(description="Tokens of a turn by the length of its conversation.")
    parser.add_argument("--messages", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--tokens", type=int, default=Limits().history_tokens, help="historyTokens of the settings")
    options = parser.parse_args()
    print(
        "messages  input  cached  whole conversation  requests  write units  read units  other calls  all input tokens"
    )
    logger.setLevel("CRITICAL")  # the rows are what is looked at
    with _stack() as stack:
        _configure(stack, options.tokens)
        said = io.StringIO()
        thread_ts: str | None = None
        for turn in range(1, max(options.messages) // 2 + 1):
            with contextlib.redirect_stdout(said), Meter() as meter:
                ts = stack.ask(_QUESTION.format(turn), thread_ts=thread_ts)
                stack.deliver(stack.receive())
            thread_ts = thread_ts or ts
            if 2 * turn in options.messages:
                _print_row(stack, thread_ts, meter, 2 * turn)
                sys.stdout.flush()


def _print_row(stack: Stack, ts: str, meter: Meter, messages: int) -> None:
    task, conversation = stack.tasks(ts)[-1], stack.conversation(ts)
    whole = sum(count_tokens(message.text) for message in stack.messages(ts))
    calls = len(stack.model.requests) - messages // 2
    print(
        f"{messages:8}  {task.total_input_tokens or 0:5}  {task.cached_tokens or 0:6}  {whole:18}  {meter.requests:8}"
        f"  {meter.write_units:11}  {meter.read_units:10}  {calls:11}  {conversation.total_input_tokens:16}"
    )


if __name__ == "__main__":
    main()
