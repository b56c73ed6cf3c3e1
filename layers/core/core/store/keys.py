"""Every key of the table, and the ids that carry them: the table's access patterns on one page.

| Item | PK | SK | GSI1PK / GSI1SK |
|---|---|---|---|
| Company | `C#co` | `#META` | `C` / company id |
| User | `C#co#P` | user id | `C#co#P` / lower-cased e-mail |
| E-mail guard | `C#co#P#<e-mail>` | `#` | |
| Identity | `C#co#X#platform#workspace` | external user id | `C#co#X` / `platform#workspace#user` |
| Installation | `C#co#N` | `platform#workspace` | |
| Workspace pointer | `X#platform#workspace` | `#` | |
| Used state | `O#nonce` | `#` | |
| Settings | `C#co#S#id` | `v#nnnnnn` | `C#co#S` / id, only on version 1 |
| Input | `C#co#K#<sha256>` | `#` | |
| Thread pointer | `C#co#H#platform#channel#thread` | `#` | |
| Conversation | `C#co#V#conv` | `#META` | `C#co#U#user` / time of the last finished turn |
| Message | `C#co#V#conv` | `M#<ulid>` | |
| Task | `C#co#V#conv` | `T#<ulid of its question>` | `C#co#F` / updatedAt, only while FAILED |
| Tool usage | `C#co#V#conv` | `U#<ulid of its question>#nnnnnn` | `C#co#W` / approvalUntil, while it waits |
| Feedback | `C#co#V#conv` | `F#<ulid of its answer>#user` | |
| Summary | `C#co#V#conv` | `S#<ulid of the last message in it>` | |
| Usage | `C#co#Q#yyyymm` | `D#dd#U#user`, `M#nn` | |
| Import | `C#co#I#imp` | `#META` | `C#co#I` / updatedAt |
| Import of a conversation | `C#co#V#conv` | `I#imp` | |
| Import's part | `C#co#I#imp` | `R#nnnnnn` | |
| Import's range | `C#co#I#imp` | `S#nnnnnn` | |
| Import guard | `C#co#I#G#sha256#template#version#format` | `#` | |
| Template | `C#co#L#name` | `v#nnnnnn` | `C#co#L` / name, only on version 1 |
| Mapping | `C#co#L#name#<version>#<header>` | `#` | |
| Commercial API | `C#co#L` | `#API` | |

The task of a sub-agent has the place of the use that asked for it after it, `T#<ulid>#nnnnnn`, and what the sub-agent
uses is below that use, `U#<ulid>#nnnnnn#nnnnnn`: whoever reads or deletes a question's finds both.

A conversation about an entity is on GSI2, too: `C#co#E#type#id` / time of creation; a person's
identities are there, `C#co#X#U#user` / `platform#workspace#user`. Both indexes are sparse and hold
keys alone. Tool usages are apart from the messages, so that a turn's history is one Query of exactly its messages.
Every key begins with its company; the workspace pointer is the one way in from outside, and the list of companies the
one index that spans them.
The parts of a key come from outside: `#` and `%` in them are escaped, so that none can reach into its neighbour.
"""

import hashlib
import re
import secrets
import unicodedata
from datetime import date

from core.errors import PermanentError
from core.models import Address
from core.store import ulids

type Key = tuple[str, str]

META, ONLY = "#META", "#"
COMPANIES = "C"
MESSAGES = "M#"
TASKS = "T#"
TOOL_USAGES = "U#"
IMPORT_PARTS = "R#"
IMPORT_RANGES = "S#"
IMPORTS = "I#"
FEEDBACK = "F#"
SUMMARIES = "S#"
SETTINGS_VERSIONS = "v#"
MONTH_SHARDS = "M#"
DAY_COUNTERS = "D#"
COUNTER_SHARDS = 16  # of a company's month: a single counter would make its busy turns wait for each other

_PLACES = re.compile(r"(?:\d{6}-)*\d{6}")
_MESSAGE_MARK, _TASK_MARK = ".m.", ".t."

message_ulid, question_ulid, last_ulid_of = ulids.message_ulid, ulids.question_ulid, ulids.last_ulid_of
reply_ulid, opening_ulid = ulids.reply_ulid, ulids.opening_ulid
preceding, following = ulids.preceding, ulids.following


def message_id(conversation_id: str, ulid: str) -> str:
    """A message's public id, which carries its conversation."""
    return f"{conversation_id}{_MESSAGE_MARK}{ulid}"


def task_id(conversation_id: str, question_ulid: str) -> str:
    """The public id of the task that answers a question, which carries its conversation."""
    return f"{conversation_id}{_TASK_MARK}{question_ulid}"


def sub_task_id(question_id: str, place: str) -> str:
    """The public id of a sub-agent's task, by the question and by the place of the use that asked for it."""
    return f"{task_id(*split_message_id(question_id))}-{place.replace('#', '-')}"


def split_message_id(id_: str) -> tuple[str, str]:
    """The conversation and the ULID in a message's id; raises PermanentError for what is none."""
    return _split(id_, _MESSAGE_MARK)


def split_task_id(id_: str) -> tuple[str, str]:
    """The conversation and the question's ULID in a task's id; raises PermanentError for what is none."""
    places = place_of_task(id_).replace("#", "-")
    if places and not _PLACES.fullmatch(places):
        raise PermanentError("id", "this is not an id of a message or of a task")
    return _split(id_.removesuffix(f"-{places}") if places else id_, _TASK_MARK)


def use_reference(question_id: str, place: str) -> str:
    """What stands for a use of a tool outside: its question's id and its place."""
    return f"{question_id}/{place.replace('#', '-')}"


def split_use_reference(reference: str) -> tuple[str, str] | None:
    """The question's id and the place in what `use_reference` made; None where it is something else."""
    question_id, _, places = reference.rpartition("/")
    ulid = question_id.rpartition(_MESSAGE_MARK)[2]
    if not _PLACES.fullmatch(places) or not ulids.ULID.fullmatch(ulid) or question_id == ulid:
        return None
    return question_id, places.replace("-", "#")


def place_of_task(id_: str) -> str:
    """The place of the use that asked for a sub-agent's task; empty for a question's own."""
    return id_.rpartition(_TASK_MARK)[2].partition("-")[2].replace("-", "#")


def ulid_of(id_: str) -> str:
    """The ULID in the id of a message or of a task, which has its question's; raises PermanentError for neither."""
    return split_task_id(id_)[1] if _TASK_MARK in id_ else split_message_id(id_)[1]


def _split(id_: str, mark: str) -> tuple[str, str]:
    conversation_id, found, ulid = id_.rpartition(mark)
    if not (found and conversation_id and ulids.ULID.fullmatch(ulid)):
        raise PermanentError("id", "this is not an id of a message or of a task")
    return conversation_id, ulid


def _join(*parts: str) -> str:
    return "#".join(part.replace("%", "%25").replace("#", "%23") for part in parts)


def unescape(part: str) -> str:
    """What a key's part was before it was escaped."""
    return part.replace("%23", "#").replace("%25", "%")


def company_key(company_id: str) -> Key:
    """A company."""
    return _join("C", company_id), META


def users_partition(company_id: str) -> str:
    """A company's users; also their partition in GSI1, where they sort by e-mail."""
    return _join("C", company_id, "P")


def normalise_email(email: str) -> str:
    """An e-mail address in the one form in which it is compared."""
    return unicodedata.normalize("NFC", email.strip()).lower()


def email_key(company_id: str, email: str) -> Key:
    """The guard that gives an e-mail address to one user of a company."""
    return _join("C", company_id, "P", normalise_email(email)), ONLY


def identity_key(company_id: str, platform: str, workspace_id: str, external_user_id: str) -> Key:
    """A person of a platform's workspace."""
    return _join("C", company_id, "X", platform, workspace_id), external_user_id


def identities_partition(company_id: str) -> str:
    """A company's identities in GSI1."""
    return _join("C", company_id, "X")


def identity_place(platform: str, workspace_id: str, external_user_id: str) -> str:
    """Where an identity sorts in GSI1."""
    return _join(platform, workspace_id, external_user_id)


def person_identities_partition(company_id: str, user_id: str) -> str:
    """A person's identities in GSI2."""
    return _join("C", company_id, "X", "U", user_id)


def installations_partition(company_id: str) -> str:
    """A company's installations."""
    return _join("C", company_id, "N")


def installation_key(company_id: str, platform: str, workspace_id: str) -> Key:
    """An installation."""
    return installations_partition(company_id), _join(platform, workspace_id)


def workspace_key(platform: str, workspace_id: str) -> Key:
    """The pointer from a platform's workspace to the company that it belongs to."""
    return _join("X", platform, workspace_id), ONLY


def settings_partition(company_id: str, settings_id: str) -> str:
    """The versions of a company's settings."""
    return _join("C", company_id, "S", settings_id)


def settings_list_partition(company_id: str) -> str:
    """A company's settings in GSI1: one entry per id."""
    return _join("C", company_id, "S")


def settings_place(version: int) -> str:
    """Where a version of settings sorts."""
    return f"{SETTINGS_VERSIONS}{version:06}"


def input_key(company_id: str, sha256: str) -> Key:
    """An input, by the hash of its content."""
    return _join("C", company_id, "K", sha256), ONLY


def thread_key(company_id: str, address: Address) -> Key:
    """The pointer from a platform's thread to its conversation."""
    return _join("C", company_id, "H", address.platform, address.channel_id, address.thread_id), ONLY


def conversation_partition(company_id: str, conversation_id: str) -> str:
    """A conversation with its messages and tasks."""
    return _join("C", company_id, "V", conversation_id)


def conversation_key(company_id: str, conversation_id: str) -> Key:
    """A conversation."""
    return conversation_partition(company_id, conversation_id), META


def message_key(company_id: str, id_: str) -> Key:
    """A message, by its public id."""
    conversation_id, ulid = split_message_id(id_)
    return conversation_partition(company_id, conversation_id), MESSAGES + ulid


def feedback_key(company_id: str, message_id_: str, user_id: str) -> Key:
    """What a person thinks of an answer, by the answer's public id. Not among the messages: those are one Query."""
    conversation_id, ulid = split_message_id(message_id_)
    return conversation_partition(company_id, conversation_id), FEEDBACK + _join(ulid, user_id)


def task_key(company_id: str, id_: str) -> Key:
    """A task, by its public id."""
    conversation_id, ulid = split_task_id(id_)
    return conversation_partition(company_id, conversation_id), f"{TASKS}{ulid}#{place_of_task(id_)}".removesuffix("#")


def tool_usages_of(question_ulid: str) -> str:
    """How the sort keys of a question's tool usages begin."""
    return f"{TOOL_USAGES}{question_ulid}#"


def tool_usage_key(company_id: str, question_id: str, place: str) -> Key:
    """One use of a tool, by the question that it was for and its place among the uses for that."""
    conversation_id, ulid = split_message_id(question_id)
    return conversation_partition(company_id, conversation_id), f"{tool_usages_of(ulid)}{place}"


def waiting_partition(company_id: str) -> str:
    """A company's calls that wait for an approval, in GSI1 by when they no longer do."""
    return _join("C", company_id, "W")


def summary_key(company_id: str, conversation_id: str, ulid: str) -> Key:
    """The summary of a conversation's messages up to one."""
    return conversation_partition(company_id, conversation_id), SUMMARIES + ulid


def text_place(company_id: str, conversation_id: str, *ulid: str) -> tuple[str, ...]:
    """Where the long texts of a message, a task or a question's tool usages are in the bucket; or a conversation's."""
    return ("C", company_id, "V", conversation_id, *ulid)


def user_conversations_partition(company_id: str, user_id: str) -> str:
    """A person's conversations in GSI1."""
    return _join("C", company_id, "U", user_id)


def entity_partition(company_id: str, entity_type: str, entity_id: str) -> str:
    """The conversations about an entity in GSI2."""
    return _join("C", company_id, "E", entity_type, entity_id)


def failed_tasks_partition(company_id: str) -> str:
    """A company's failed tasks in GSI1."""
    return _join("C", company_id, "F")


def usage_partition(company_id: str, day: date) -> str:
    """A company's counters of one month."""
    return _join("C", company_id, "Q", f"{day:%Y%m}")


def day_counter_key(company_id: str, day: date, user_id: str) -> Key:
    """What one person used on one day."""
    return usage_partition(company_id, day), _join("D", f"{day:%d}", "U", user_id)


def month_counter_key(company_id: str, day: date, conversation_id: str) -> Key:
    """The shard of the company's month that a conversation counts into."""
    shard = hashlib.sha256(conversation_id.encode()).digest()[0] % COUNTER_SHARDS
    return usage_partition(company_id, day), f"{MONTH_SHARDS}{shard:02}"


def new_id(word: str) -> str:
    """An opaque id that nobody can guess: `word`, an underscore and 26 characters."""
    return f"{word}_{secrets.token_hex(13)}"


def import_partition(company_id: str, import_id: str) -> str:
    """An import with its parts."""
    return _join("C", company_id, "I", import_id)


def import_key(company_id: str, import_id: str) -> Key:
    """An import."""
    return import_partition(company_id, import_id), META


def conversation_import_key(company_id: str, conversation_id: str, import_id: str) -> Key:
    """The mark that an import came from a conversation."""
    return conversation_partition(company_id, conversation_id), f"{IMPORTS}{import_id}"


def imports_partition(company_id: str) -> str:
    """A company's imports in GSI1."""
    return _join("C", company_id, "I")


def import_part_key(company_id: str, import_id: str, number: int) -> Key:
    """A stored part of an import's output."""
    return import_partition(company_id, import_id), f"{IMPORT_PARTS}{number:06}"


def import_range_key(company_id: str, import_id: str, number: int) -> Key:
    """A range of an import's file."""
    return import_partition(company_id, import_id), f"{IMPORT_RANGES}{number:06}"


def import_guard_key(company_id: str, sha256: str, template: str, version: int, output_format: str) -> Key:
    """The guard that lets the same file become the same output once."""
    return _join("C", company_id, "I", "G", sha256, template, str(version), output_format), ONLY


def template_partition(company_id: str, name: str) -> str:
    """The versions of a company's template."""
    return _join("C", company_id, "L", name)


def templates_partition(company_id: str) -> str:
    """A company's templates in GSI1: one entry per name; and what belongs to all of them."""
    return _join("C", company_id, "L")


def mapping_key(company_id: str, name: str, version: int, fingerprint: str) -> Key:
    """The mapping that a header was given before."""
    return _join("C", company_id, "L", name, str(version), fingerprint), ONLY


def commercial_api_key(company_id: str) -> Key:
    """Where a company's imports are handed to."""
    return templates_partition(company_id), "#API"
