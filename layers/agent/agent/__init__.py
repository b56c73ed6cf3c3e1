"""Agent room: from a question to a delivered answer."""
