"""How an answer looks in a terminal while it grows, and how in a pipe."""

import re
from typing import Protocol

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.panel import Panel
from rich.segment import Segment
from rich.spinner import Spinner
from rich.text import Text

from local.fake_slack.state import SeenMessage

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class View(Protocol):
    """Shows an answer that grows."""

    def show(self, messages: list[SeenMessage], status: str) -> None:
        """Show what is there now."""

    def close(self) -> None:
        """The answer grows no further."""


def _printable(text: str) -> str:
    """Without what would steer the terminal."""
    return _CONTROL.sub("", text)


class PlainView:
    """Writes what is added, for pipes and logs."""

    def __init__(self) -> None:
        self._written: dict[str, str] = {}
        self._status = ""

    def show(self, messages: list[SeenMessage], status: str) -> None:
        """Write what was not written yet; a message that was changed is written again."""
        if status and status != self._status:
            print(f"[{_printable(status)}]")
        self._status = status
        for message in messages:
            before, now = self._written.get(message.ts), _printable(message.text)
            if before is None:
                print("\nparley: " if self._written else "parley: ", end="")
            elif not now.startswith(before):
                print("\n[edited] ", end="")
                before = ""
            print(now[len(before or "") :], end="", flush=True)
            self._written[message.ts] = now

    def close(self) -> None:
        """End the line."""
        print(flush=True)


class _LastLines:
    """As much of the end of something as the window is high."""

    def __init__(self, content: Group) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._content, options.update(height=None), pad=False)
        for line in lines[-max(1, console.size.height - 1) :]:
            yield from line
            yield Segment.line()


class LiveView:
    """Draws the messages again and again, as Slack's window does, and leaves them whole on the screen."""

    def __init__(self) -> None:
        self._console = Console()
        self._messages: list[SeenMessage] = []
        self._live = Live(console=self._console, refresh_per_second=12, transient=True)
        self._live.start()

    def show(self, messages: list[SeenMessage], status: str) -> None:
        """Draw every message as it stands."""
        self._messages = messages
        parts: list[Panel | Spinner] = [self._panel(message) for message in messages]
        if status or any(message.is_streaming for message in messages):
            parts.append(Spinner("dots", text=_printable(status) or "writing"))
        self._live.update(_LastLines(Group(*parts)))

    def close(self) -> None:
        """Leave the last state."""
        self._live.stop()
        self._console.print(*[self._panel(message) for message in self._messages])

    def _panel(self, message: SeenMessage) -> Panel:
        text = _printable(message.text)
        content = Markdown(text) if message.is_markdown else Text(text)
        tasks = [Text(f"▸ {_printable(task)}", style="dim") for task in message.tasks]
        title = "parley" + (" · edited" if message.edits else "")
        return Panel(Group(*tasks, content), title=title, title_align="left", border_style="cyan")
