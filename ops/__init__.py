"""The operators' command line: companies, people, installations, conversations and dead letters of one stack.

The project is not installed: importing this package puts the core and store rooms on the path.
"""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

if (_ROOM := str(PROJECT / "layers" / "core")) not in sys.path:
    sys.path.insert(0, _ROOM)
