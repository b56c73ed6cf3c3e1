"""The benchmark of imports runs, on files so small that it measures nothing."""

import pytest

from benchmarks.imports import main


@pytest.mark.parametrize("case", ["csv", "memory", "json", "xlsx", "pdf"])
def test_each_case_makes_its_file_and_reads_all_of_it(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--quick", "--no-peers", "--case", case])
    printed = capsys.readouterr().out
    assert "MB" in printed
    assert "ratio" not in printed
