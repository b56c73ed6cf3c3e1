"""The operators' command line: companies, people, settings, conversations and dead letters of one stack.

The project is not installed: importing this package puts the rooms on the path.
"""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

for _name in ("importer", "agent", "core"):
    if (_room := str(PROJECT / "layers" / _name)) not in sys.path:
        sys.path.insert(0, _room)
