"""The suite is whole: each platform has its part, each reason its case, and the documents list what is checked."""

import pytest

from tests.contract.cases import groups, listing
from tests.contract.platform import ROOT, load, names


@pytest.mark.parametrize("name", names())
def test_a_platform_brings_its_part(name: str) -> None:
    try:
        load(name)
    except LookupError as missing:
        pytest.fail(str(missing), pytrace=False)


def test_a_platform_without_its_part_is_told_what_to_add() -> None:
    with pytest.raises(LookupError, match=r"add tests/contract/carrier_pigeon.py with a class `CarrierPigeon`"):
        load("carrier_pigeon")


@pytest.mark.parametrize("name", names())
def test_what_a_platform_cannot_have_is_a_case_and_has_a_reason(name: str) -> None:
    titles = {title for group in groups().values() for title in group}
    assert set(load(name).cannot) <= titles
    assert all(len(reason) > 20 for reason in load(name).cannot.values())


def test_contributing_lists_the_cases() -> None:
    assert f"```text\n{listing()}\n```\n" in (ROOT / "CONTRIBUTING.md").read_text(), "paste what `make contract` prints"
