"""A file in a chat is imported: begun by the assistant, told in the thread how it went, once, with the output."""

import io
import json
import zipfile
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from core.configuration import Limits
from core.imports import NOTICE, ImportStatus
from core.models import Role
from local.fake_slack import payloads
from local.fake_slack.demo import DEMO
from local.fake_slack.state import User
from local.standin_model.script import Behaviour
from tests.integration.imports.chats import CSV, FILE, Chat, record_of
from tests.integration.imports.stack import CONTACTS
from tests.integration.turns.configured import make_settings
from tests.integration.turns.files import Upload, mention, send, upload
from tests.integration.turns.stack import COMPANY, Context, Stack, add_person, again


def _offered(stack: Stack) -> list[dict[str, Any]]:
    """The tools of the last request for an answer."""
    found: Any = stack.model.requests[-1].body.get("tools", [])
    return list(found)


def test_import_this_as_contacts(chat: Chat) -> None:
    chat.add_template()

    begun, told, file = chat.run("import this as contacts", FILE, file="people.csv", template="contacts")

    assert begun.text == "I have begun."
    assert "**Imported in part:** `people.csv`. 2 rows are good, 1 are not." in told.text
    assert "- Row 2, `E-Mail`: the value does not fit the rules" in told.text
    assert told.text.count("X-Amz-Signature") == 2
    assert "Links work for one hour." in told.text
    assert file.text == "[people.csv]"
    (import_,) = chat.imports()
    assert import_.processing_status is ImportStatus.COMPLETED_WITH_ERRORS
    assert import_.input_file_url == f"s3://{chat.bucket_name}/imports/acme/usr_alice/{import_.id}/people.csv"
    (uploaded,) = chat.stack.slack.state.uploads.values()
    assert uploaded.content == b"name,email,age\r\nAda,ada@example.com,36\r\nCyd,cyd@example.com,29\r\n"


def test_what_was_told_is_part_of_the_conversation_without_its_links(chat: Chat) -> None:
    ts, record = chat.ask("import this", FILE, file="people.csv")
    chat.answer(record)
    chat.settle()

    *_, notice = chat.stack.messages(ts)
    assert (notice.role, notice.finish_reason) == (Role.ASSISTANT, NOTICE)
    assert notice.text == "**Imported:** `people.csv`, 3 rows."
    assert notice.outgoing_ids == (chat.stack.thread(ts)[1].ts,)
    chat.stack.model.clear()
    chat.stack.ask("And how did it go?", thread_ts=ts)
    assert chat.stack.settle() == []
    assert "3 rows" in json.dumps(chat.stack.model.requests[-1].body)


def test_a_workbook_that_the_chat_cannot_read_is_imported_and_no_longer_called_unread(chat: Chat) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("people.csv", CSV)

    begun, told, _ = chat.run("import this", Upload(name="all.zip", content=packed.getvalue()), file="all.zip")

    assert "couldn't read" not in begun.text
    assert "**Imported:** `all.zip`, 3 rows." in told.text


def test_the_model_is_told_of_the_files_and_of_the_templates(chat: Chat) -> None:
    chat.add_template("contacts", {**CONTACTS, "record": {**CONTACTS["record"], "description": "People we know."}})
    _, record = mention(chat.stack, "what is this?", FILE, Upload(name="b.xlsx", content=b"PK\x03\x04"))

    chat.answer(record)

    (tool,) = _offered(chat.stack)
    assert tool["name"] == "import_file"
    assert '"people.csv", "b.xlsx"' in tool["description"]
    assert "- contacts: People we know. Fields: name, email, age" in tool["description"]


def test_a_file_of_an_earlier_message_can_be_imported_later(chat: Chat) -> None:
    chat.stack.model.script(Behaviour(text="A table."))
    ts, record = mention(chat.stack, "look", FILE)
    chat.answer(record)
    chat.will_call(file="people.csv")

    chat.stack.ask("now import it", thread_ts=ts)
    assert chat.stack.settle() == []
    chat.settle()

    assert "3 rows" in chat.stack.thread(ts)[2].text


def test_without_a_file_nothing_is_offered(chat: Chat) -> None:
    chat.stack.ask("hello")
    assert chat.stack.settle() == []
    assert _offered(chat.stack) == []


def test_a_company_may_do_without(chat: Chat) -> None:
    chat.stack.store.directory.put_settings(make_settings(limits=Limits(max_import_bytes=0)))
    _, record = mention(chat.stack, "import this", FILE)

    chat.answer(record)

    assert _offered(chat.stack) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"file": "people.csv", "template": "invoices"}, "Its templates are: contacts."),
        ({"file": "people.csv", "template": "Contacts!"}, "Its templates are: contacts."),
        ({"file": "other.csv"}, 'The attached files are: "people.csv".'),
        ({"file": "people.csv", "output_format": "doc"}, "output_format"),
    ],
)
def test_what_cannot_be_begun_is_explained_to_the_model(chat: Chat, arguments: dict[str, str], said: str) -> None:
    chat.add_template()
    _, record = chat.ask("import this", FILE, **arguments)

    chat.answer(record)

    assert said in json.dumps(chat.stack.model.requests[-1].body, ensure_ascii=False).replace('\\"', '"')
    assert chat.imports() == ()
    assert chat.inputs() == []


def test_a_file_that_is_gone_ends_its_import_and_is_explained_to_the_model(chat: Chat) -> None:
    _, record = chat.ask("import this", FILE, file="people.csv")
    chat.stack.slack.fail_next("url_private", http_status=404, times=5)

    chat.answer(record)

    (import_,) = chat.imports()
    assert (import_.processing_status, import_.error_code) == (ImportStatus.FAILED, "file-gone")
    assert "attach it again" in json.dumps(chat.stack.model.requests[-1].body)
    assert chat.inputs() == []
    chat.settle()
    assert chat.taken("signals") == []


def test_who_waits_too_long_for_others_files_begins_no_import(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.tools.import_file.ImportFile.timeout_seconds", 10.1)
    carry = chat.stack.processor.collaborators.imports.carry
    _, record = chat.ask("import this", FILE, file="people.csv")

    with carry(0), carry(0), carry(0):
        chat.answer(record)

    (import_,) = chat.imports()
    assert (import_.processing_status, import_.error_code) == (ImportStatus.FAILED, "no-time")
    assert "was not imported" in json.dumps(chat.stack.model.requests[-1].body)
    assert chat.inputs() == []


def test_a_large_file_is_carried_over_in_parts_and_its_output_is_a_link(chat: Chat) -> None:
    rows = b"".join(b"Name %d;p%d@example.com;%d;%s\n" % (n, n, n % 90, b"x" * 300) for n in range(40_000))
    large = Upload(name="large.csv", content=b"Name;E-Mail;Age;Note\n" + rows)

    _, told = chat.run("import this", large, file="large.csv", output_format="jsonl")

    assert "40000 rows" in told.text
    assert "X-Amz-Signature" in told.text
    (import_,) = chat.imports()
    assert import_.etag
    assert import_.etag.endswith("-3")


def test_a_failed_import_is_told_in_the_persons_language(chat: Chat) -> None:
    begun, told = chat.run(
        "Bitte importiere mir diese Datei, ich brauche die Daten daraus noch heute.",
        Upload(name="leer.csv", content=b"\n \n"),
        file="leer.csv",
    )

    assert begun.text.startswith("I have begun.")
    assert told.text.startswith("**Nicht importiert:** `leer.csv`. ")
    assert "beschädigt" in told.text


def test_the_same_file_again_is_told_unless_it_is_wanted(chat: Chat) -> None:
    chat.run("import this", FILE, file="people.csv")
    _, told = chat.run("import this", FILE, file="people.csv")
    assert "was imported before" in told.text
    _, told, _ = chat.run("import this again", FILE, file="people.csv", again=True)
    assert "3 rows" in told.text


def test_a_dry_run_shows_how_columns_become_fields_and_writes_nothing(chat: Chat) -> None:
    chat.add_template()
    _, told = chat.run("look first", FILE, file="people.csv", template="contacts", dry_run=True)
    assert "**Only looked at:** `people.csv`." in told.text
    assert "- `email` ← `E-Mail`" in told.text
    assert "X-Amz-Signature" not in told.text


# Reviews


def _press(chat: Chat, ts: str, label: str, *, user: str = DEMO.user_id) -> bool:
    """Somebody presses a button of the review; whether that is done."""
    ((asked, button),) = ((m, b) for m in chat.stack.thread(ts) for b in m.buttons if b.text == label)
    value, reference = "approve" if label == "Import" else "deny", button.value
    return chat.stack.signal(
        "approval", ts=ts, value=value, reference=reference, external_message_id=asked.ts, external_user_id=user
    )


def _review(chat: Chat) -> str:
    chat.add_template()
    ts, record = chat.ask("let me see first", FILE, file="people.csv", template="contacts", review=True)
    chat.answer(record)
    chat.settle()
    return ts


def test_a_review_is_shown_with_buttons_and_goes_on_when_approved(chat: Chat) -> None:
    ts = _review(chat)
    asked = chat.stack.thread(ts)[1]
    assert [button.text for button in asked.buttons] == ["Import", "Cancel"]
    assert "- `email` ← `E-Mail`" in asked.text

    assert _press(chat, ts, "Import")
    chat.settle()

    _, closed, told, _ = chat.stack.thread(ts)
    assert (closed.text, closed.buttons) == ("Alice Adams let the import of `people.csv` go on.", ())
    assert "2 rows are good" in told.text


def test_a_review_that_is_denied_cancels_the_import(chat: Chat) -> None:
    ts = _review(chat)

    assert _press(chat, ts, "Cancel")
    chat.settle()

    _, closed = chat.stack.thread(ts)
    assert closed.text == "Alice Adams canceled the import of `people.csv`."
    (import_,) = chat.imports()
    assert import_.processing_status is ImportStatus.CANCELED
    *_, notice = chat.stack.messages(ts)
    assert notice.text == closed.text


def test_nobody_else_decides(chat: Chat) -> None:
    ts = _review(chat)
    bob = add_person(chat.stack, "usr_bob", "U0BOB00001")

    assert _press(chat, ts, "Import", user=bob)
    assert _press(chat, ts, "Import", user="U0STRANGER")

    (import_,) = chat.imports()
    assert import_.processing_status is ImportStatus.AWAITING_REVIEW


def test_what_operations_decided_closes_the_buttons(chat: Chat) -> None:
    ts = _review(chat)
    (import_,) = chat.imports()
    chat.stack.store.imports.approve(COMPANY, import_.id, now=datetime.now(UTC))

    chat.importer.handler({"Records": [record_of({"companyId": COMPANY, "importId": import_.id}, 1)]}, Context(900))
    assert chat.tell(chat.taken("signals"))

    _, closed, told, _ = chat.stack.thread(ts)
    assert (closed.text, closed.buttons) == ("The review of `people.csv` is over.", ())
    assert "2 rows are good" in told.text


def test_a_question_of_the_import_is_put_to_the_person(chat: Chat) -> None:
    record = {"type": "object", "properties": {"when": {"type": "string", "format": "date"}}, "required": ["when"]}
    chat.add_template("days", {"record": record})
    days = Upload(name="days.csv", content=b"When\n03/04/2024\n05/06/2024\n")

    _, asked = chat.run("import the days", days, file="days.csv", template="days")

    assert "Only you can know this:" in asked.text
    (import_,) = chat.imports()
    assert f"imports approve {import_.id} --answer" in asked.text
    assert [button.text for button in asked.buttons] == ["Import", "Cancel"]


# Deletion


def test_a_deleted_conversation_takes_its_imports_along(chat: Chat) -> None:
    ts, record = chat.ask("import this", FILE, file="people.csv")
    chat.answer(record)
    chat.settle()
    conversation = chat.stack.conversation(ts)
    assert [each.id for each in chat.stack.store.imports.begun.list_of(COMPANY, conversation.id)] == [
        each.id for each in chat.imports()
    ]

    assert chat.stack.store.privacy.delete_conversation(COMPANY, conversation.id)

    assert chat.imports() == ()
    found = boto3.client("s3").list_objects_v2(Bucket=chat.bucket_name)
    assert [each["Key"] for each in found.get("Contents", []) if not each["Key"].startswith("overflow/C/acme/K")] == []


def test_who_is_forgotten_is_forgotten_in_the_notices_of_others_conversations(chat: Chat) -> None:
    ts = chat.stack.ask("a conversation of Alice's")
    assert chat.stack.settle() == []
    bob = add_person(chat.stack, "usr_bob", "U0BOB00001")
    chat.will_call(file="people.csv")
    chat.stack.slack.add_user(User(bob, DEMO.team_id, "usr_bob@demo.example", "bob"))
    envelope = payloads.mention("import this", user=bob, thread_ts=ts)
    event: dict[str, Any] = {**envelope["event"], "files": upload(chat.stack, [FILE])}
    chat.stack.slack.post_as(bob, "import this", channel=event["channel"], ts=event["ts"], thread_ts=ts)
    assert chat.stack.post({**envelope, "event": event})["statusCode"] == 200
    assert chat.stack.settle() == []
    chat.settle()
    assert chat.stack.messages(ts)[-1].finish_reason == NOTICE

    chat.stack.store.privacy.forget_user(COMPANY, "usr_bob")

    assert [each.user_id for each in chat.stack.messages(ts)] == ["usr_alice"] * 3
    assert chat.imports() == ()


def test_a_direct_message_is_told_where_it_was_written(chat: Chat) -> None:
    chat.will_call(file="people.csv")
    chat.answer(send(chat.stack, "import this", FILE))
    chat.settle()
    said = [m.text for m in chat.stack.slack.messages(DEMO.dm_channel_id) if m.user == DEMO.bot_user_id]
    assert said[0] == "I have begun."
    assert "3 rows" in said[1]


def test_a_second_delivery_of_the_question_begins_no_second_import(chat: Chat) -> None:
    _, record = chat.ask("import this", FILE, file="people.csv")
    chat.answer(record)
    chat.answer(again(record))
    chat.settle()
    assert len(chat.imports()) == 1
