"""A signed Slack message goes in, a streamed answer comes out, on the deployed template."""

import time

import boto3
import pytest
from botocore.exceptions import ClientError

from local.fake_slack import payloads
from tests.e2e.deployed import Deployed, wait_for

pytestmark = pytest.mark.timeout(600)


def test_a_question_is_answered_in_its_thread_and_stored(deployed: Deployed) -> None:
    ts = deployed.ask("What is the **first** thing? \U0001f3f3\ufe0f\u200d\U0001f308")
    (answer,) = deployed.wait_for_answers(ts)
    assert answer["is_streamed"]
    assert "stand-in" in answer["text"]
    assert "What is the **first** thing? \U0001f3f3\ufe0f\u200d\U0001f308" in answer["text"]
    stored = deployed.wait_for_conversation(ts, "COMPLETED")
    assert [message["role"] for message in stored["messages"]] == ["system", "user", "assistant"]
    (task,) = stored["tasks"]
    assert task["status"] == "COMPLETED"
    assert task["totalTokens"] == task["totalInputTokens"] + task["totalOutputTokens"] > 0


def test_the_second_question_of_a_thread_knows_the_first(deployed: Deployed) -> None:
    ts = deployed.ask("My favourite colour is blue.")
    deployed.wait_for_answers(ts)
    deployed.ask("Which one?", thread_ts=ts)
    _, second = deployed.wait_for_answers(ts, 2)
    assert "I can see 2 earlier messages" in second["text"]


def test_twins_and_retries_give_one_answer(deployed: Deployed) -> None:
    mention = payloads.mention("only once please")
    ts = mention["event"]["ts"]
    for envelope in (mention, payloads.twin(mention), mention, payloads.twin(mention)):
        assert deployed.post(envelope) == 200
    deployed.wait_for_answers(ts)
    wait_for(lambda: deployed.queue_length(deployed.stack.queue_urls.messages) == 0, what="the queue to be empty")
    assert len(deployed.answers(ts)) == 1
    assert len(deployed.model_requests("only once please")) == 1


def test_ten_messages_at_once_come_out_in_order(deployed: Deployed) -> None:
    first = deployed.ask("number 0")
    for number in range(1, 10):
        deployed.post(payloads.mention(f"number {number}", thread_ts=first))
    answers = deployed.wait_for_answers(first, 10, seconds=120)
    assert [f"> number {number}\n" in answer["text"] for number, answer in enumerate(answers)] == [True] * 10


def test_twenty_conversations_at_once_are_all_answered(deployed: Deployed) -> None:
    stamps = [deployed.ask(f"conversation {number}") for number in range(20)]
    for number, ts in enumerate(stamps):
        (answer,) = deployed.wait_for_answers(ts, seconds=120)
        assert f"> conversation {number}\n" in answer["text"]


def test_a_stranger_is_refused_and_no_model_is_called(deployed: Deployed) -> None:
    team_id = deployed.stack.demo.team_id
    deployed.add_person({"id": "U0STRANGER", "team": team_id, "email": "who@elsewhere.example", "name": "stranger"})
    ts = deployed.ask("let a stranger in", user="U0STRANGER")
    (answer,) = deployed.wait_for_answers(ts)
    assert "directory" in answer["text"]
    assert deployed.model_requests("let a stranger in") == []


def test_forged_stale_and_broken_requests_are_refused_with_json(deployed: Deployed) -> None:
    mention = payloads.mention("never published")
    body = payloads.body_of(mention)
    good = payloads.sign(deployed.stack.slack_signing_secret, body, time.time())
    assert deployed.post(mention, secret="wrong") == 401
    assert deployed.post(mention, now=time.time() - 301) == 401
    assert deployed.send(body, good | {"X-Slack-Signature": "v0=\u00e9".encode().decode("latin-1")})[0] == 401
    for broken in (b"", b"{", b"[]", b'"text"', b'{"type": "event_callback"}'):
        headers = payloads.sign(deployed.stack.slack_signing_secret, broken, time.time())
        status, answer = deployed.send(broken, headers)
        assert (status, sorted(answer)) == (400, ["error", "message"]), broken
    assert deployed.send(body, {"Content-Type": "application/json"})[0] == 401
    assert deployed.queue_length(deployed.stack.queue_urls.messages) == 0
    assert deployed.model_requests("never published") == []


def test_what_the_model_cannot_answer_is_told_and_marked(deployed: Deployed) -> None:
    ts = deployed.ask("this fails [[fail 500]]")
    (answer,) = deployed.wait_for_answers(ts, seconds=120)
    assert "went wrong" in answer["text"]
    stored = deployed.wait_for_conversation(ts, "FAILED")
    assert [(task["status"], task["errorClass"]) for task in stored["tasks"]] == [("FAILED", "dead-letter")]


def test_a_worker_killed_in_the_middle_of_its_answer_is_succeeded_by_another(deployed: Deployed) -> None:
    ts = deployed.ask("a killed answer [[delay 400 x1]] write 60 words")
    wait_for(lambda: any(answer["is_streaming"] for answer in deployed.answers(ts)), what="the answer to begin")
    assert deployed.kill_workers("LLMProcessorFunc") >= 1
    wait_for(
        lambda: any(not answer["is_streaming"] for answer in deployed.answers(ts)), seconds=240, what="the successor"
    )
    stored = deployed.wait_for_conversation(ts, "COMPLETED")
    assert len(deployed.answers(ts)) == 1
    assert [message["role"] for message in stored["messages"]] == ["system", "user", "assistant"]
    (task,) = stored["tasks"]
    assert (task["status"], task["attempt"]) == ("COMPLETED", 2)


def test_iam_is_enforced(deployed: Deployed) -> None:
    administrator = _session_of(deployed, deployed.stack.aws_access_key_id, deployed.stack.aws_secret_access_key)
    company = {"PK": {"S": f"C#{deployed.stack.demo.company_id}"}, "SK": {"S": "#META"}}

    def read_company(reader: boto3.Session) -> str:
        table = reader.client("dynamodb", endpoint_url=deployed.stack.endpoint_url)
        try:
            return table.get_item(TableName=deployed.stack.table_name, Key=company)["Item"]["id"]["S"]
        except ClientError as exc:
            return exc.response["Error"]["Code"]

    readers = {
        "somebody": _session_of(deployed, "AKIAINTRUDER00000000", "wrong"),
        "webhook": _assume_role(deployed, administrator, "SlackWebhookFunction"),
        "processor": _assume_role(deployed, administrator, "LLMProcessorFunction"),
        "dead letters": _assume_role(deployed, administrator, "DeadLetterProcessorFunction"),
    }
    assert {name: read_company(reader) for name, reader in readers.items()} == {
        "somebody": "UnrecognizedClientException",
        "webhook": "AccessDeniedException",
        "processor": deployed.stack.demo.company_id,
        "dead letters": deployed.stack.demo.company_id,
    }


def _session_of(deployed: Deployed, key: str, secret: str, token: str | None = None) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        region_name=deployed.stack.region,
    )


def _assume_role(deployed: Deployed, administrator: boto3.Session, function: str) -> boto3.Session:
    """AWS as a function sees it: with the role that the deployed function has."""
    endpoint_url = deployed.stack.endpoint_url
    listed = administrator.client("lambda", endpoint_url=endpoint_url).list_functions()["Functions"]
    (role,) = (each["Role"] for each in listed if f"-{function}-" in each["FunctionName"])
    sts = administrator.client("sts", endpoint_url=endpoint_url)
    given = sts.assume_role(RoleArn=role, RoleSessionName="end-to-end")["Credentials"]
    return _session_of(deployed, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
