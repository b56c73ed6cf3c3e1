"""What is kept for a while: made once, made anew when its time is up."""

import itertools

from core.kept import Kept


def test_text_is_made_once_until_its_time_is_up() -> None:
    seconds, made = [0.0], itertools.count()
    kept = Kept(lambda: seconds[0])

    def make() -> tuple[str, float]:
        return f"token-{next(made)}", 60.0

    assert [kept.get("a", make), kept.get("a", make), kept.get("b", make)] == ["token-0", "token-0", "token-1"]
    seconds[0] = 60.0
    assert kept.get("a", make) == "token-2"
    kept.forget("a")
    assert kept.get("a", make) == "token-3"
    assert "token" not in repr(kept)


def test_the_cache_is_bounded() -> None:
    kept = Kept(lambda: 0.0)
    for number in range(3_000):
        kept.get(number, lambda: ("x", 1.0))
    assert int(repr(kept).removeprefix("Kept(").removesuffix(")")) <= 1_000
