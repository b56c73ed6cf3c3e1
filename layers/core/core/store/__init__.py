"""The store room: the one table and its bucket. Hands out values; no PynamoDB object leaves it.

`Store` holds conversations and the turn, `Store.directory` the companies and their people, `keys` every key and id.
"""

from core.store.claims import Claim, ClaimLostError, ConversationBusyError, Entity, Opening, Spent, Summary
from core.store.directory import Directory
from core.store.files import Files
from core.store.interruptions import Interruption
from core.store.questions import is_note
from core.store.store import Store

__all__ = [
    "Claim",
    "ClaimLostError",
    "ConversationBusyError",
    "Directory",
    "Entity",
    "Files",
    "Interruption",
    "Opening",
    "Spent",
    "Store",
    "Summary",
    "is_note",
]
