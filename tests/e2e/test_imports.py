"""A file goes in by the operators' command line and clean data comes out, on the deployed template."""

import json
from pathlib import Path

import pytest

from tests.e2e.deployed import Deployed

pytestmark = pytest.mark.timeout(300)

_TEMPLATE = {
    "record": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "email": {"type": "string", "format": "email"},
            "since": {"type": "string", "format": "date"},
        },
        "required": ["name", "email"],
    }
}


def test_a_file_is_imported_with_iam_enforced(deployed: Deployed, tmp_path: Path) -> None:
    template = tmp_path / "contacts.json"
    template.write_text(json.dumps(_TEMPLATE))
    deployed.run_ops("templates", "set", "contacts", str(template))
    people = tmp_path / "Kontakte (März).csv"
    rows = [f"Person {number};p{number}@example.com;{1 + number % 28:02}.11.2024" for number in range(500)]
    people.write_text("\n".join(["Name;E-Mail;Since", *rows, "Nobody;no address;01.11.2024"]))
    output = tmp_path / "out.jsonl"

    done = deployed.ops("import", str(people), "--template", "contacts", "--output", str(output), "--json")

    assert done["processingStatus"] == "COMPLETED_WITH_ERRORS", done
    assert (done["rowsWritten"], done["rowsRejected"]) == (500, 1)
    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert records[27] == {"name": "Person 27", "email": "p27@example.com", "since": "2024-11-28"}
    assert done["id"] in [each["id"] for each in deployed.ops("imports", "list", "--json")]
    assert deployed.queue_length(deployed.stack.queue_urls.imports) == 0


@pytest.mark.parametrize("output_format", ["xlsx", "parquet"])
def test_formats_that_exist_only_as_a_whole_are_written(deployed: Deployed, tmp_path: Path, output_format: str) -> None:
    file = tmp_path / "numbers.csv"
    file.write_text("a,b\n1,2\n3,4\n")

    done = deployed.ops("import", str(file), "--format", output_format, "--json")

    assert done["processingStatus"] == "COMPLETED", done
    assert done["outputLink"]
