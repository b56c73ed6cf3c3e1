"""Makes the files that imports are measured on: the same ones on every machine."""

import json
import random
import zlib
from pathlib import Path

from importer.mapping import propose
from importer.template import Template
from importer.values import TableMapping

HEADER = "Order ID,Customer,E-Mail,Country,Order Date,Quantity,Unit Price,Discount,Status,Paid,Phone,Note"
COUNTRIES = ["DE", "ES", "FR", "GB", "IT", "US"]
STATES = ["open", "paid", "returned", "shipped"]
_DIRTY = 0.02
_BLOCK_ROWS = 20_000
_PDF_LINES = 46  # of a page
_PDF_WORDS = 12  # of a line
_SYLLABLES = ("ba", "den", "ge", "ka", "lo", "mit", "ner", "o", "ri", "sta", "ung", "ver")
_NOTES = ["", '"said ""hi"", left"', "express", "gift wrap please"]

TEMPLATE = Template(
    name="orders",
    record={
        "type": "object",
        "properties": {
            "order_id": {"type": "string", "pattern": "^O-[0-9]{8,10}$"},
            "customer": {"type": "string", "maxLength": 100},
            "email": {"type": "string", "pattern": "^[^@ ]+@[^@ ]+[.][a-z]+$"},
            "country": {"type": "string", "enum": COUNTRIES},
            "order_date": {"type": "string", "format": "date"},
            "quantity": {"type": "integer", "minimum": 1},
            "unit_price": {"type": "number", "minimum": 0},
            "discount": {"type": "number", "minimum": 0, "maximum": 1},
            "status": {"type": "string", "enum": STATES},
            "paid": {"type": "boolean"},
            "phone": {"type": "string"},
            "note": {"type": ["string", "null"]},
        },
        "required": ["order_id", "email", "order_date", "quantity", "unit_price"],
    },
)


def order_mapping() -> TableMapping:
    """What the importer itself makes of the header."""
    values = [
        "O-00000001",
        "Ada",
        "ada@example.com",
        "DE",
        "2024-01-31",
        "5",
        "12.50",
        "0.05",
        "open",
        "yes",
        "+49 30",
        "x",
    ]
    found = propose({name: [value] for name, value in zip(HEADER.split(","), values, strict=True)}, TEMPLATE).mapping
    assert len(found.fields) == len(values), "each column finds its field"  # noqa: S101 - else nothing is measured
    return found


def write_csv(path: Path, rows: int) -> int:
    """Orders, of which one in fifty has something wrong with it; returns how many."""
    chance, dirty = random.Random(7), 0  # noqa: S311 - the same file every time
    with path.open("w", newline="") as file:
        file.write(HEADER + "\n")
        for number in range(rows):
            row = _row(chance, number)
            if chance.random() < _DIRTY:
                dirty += 1
                row = _spoil(chance, row)
            file.write(",".join(row) + "\n")
    return dirty


def _row(chance: random.Random, number: int) -> list[str]:
    return [
        f"O-{number:08d}",
        f"Customer {chance.randrange(10**5)}",
        f"user{chance.randrange(10**6)}@example.com",
        chance.choice(COUNTRIES),
        f"{chance.randrange(2019, 2025)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}",
        str(chance.randrange(1, 100)),
        f"{chance.randrange(100, 99_999) / 100:.2f}",
        f"{chance.randrange(50) / 100:.2f}",
        chance.choice(STATES),
        chance.choice(["yes", "no"]),
        f"+49 30 {chance.randrange(10**6, 10**7)}",
        chance.choice(_NOTES),
    ]


def _spoil(chance: random.Random, row: list[str]) -> list[str]:
    kind = chance.randrange(6)
    if kind == 0:
        return row[:-2]
    place, value = {
        1: (4, "2024-13-45"),
        2: (5, "many"),
        3: (6, '"1.234,50 €"'),
        4: (8, "lost"),
        5: (2, "nobody"),
    }[kind]
    return [*row[:place], value, *row[place + 1 :]]


def write_large_csv(path: Path, size: int) -> int:
    """Orders of about `size` bytes, the same ones again and again: made as fast as a disk writes; returns how many."""
    write_csv(path, _BLOCK_ROWS)
    header, _, block = path.read_bytes().partition(b"\n")
    count = max(round(size / len(block)), 1)
    with path.open("wb") as file:
        file.write(header + b"\n")
        for _ in range(count):
            file.write(block)
    return count * _BLOCK_ROWS


def write_json(path: Path, size: int) -> int:
    """A document with a list of nested orders of about `size` bytes; returns how many orders."""
    chance, number = random.Random(7), 0  # noqa: S311 - as above
    with path.open("w") as file:
        file.write('{"meta":{"made":"today"},"data":{"orders":[')
        while file.tell() < size:
            cells = dict(zip(HEADER.split(","), _row(chance, number), strict=True))
            lines = [{"sku": f"A{chance.randrange(999)}", "n": chance.randrange(9), "price": 1.25} for _ in range(3)]
            order = {**cells, "ship": {"city": "Bonn", "geo": {"lat": 50.7, "lon": 7.1}}, "lines": lines}
            file.write(("," if number else "") + json.dumps(order))
            number += 1
        file.write("]}}")
    return number


def write_xlsx(path: Path, rows: int) -> None:
    """Clean orders as one sheet."""
    import xlsxwriter

    chance = random.Random(7)  # noqa: S311 - as above
    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        sheet = book.add_worksheet("Orders")
        for number in range(rows + 1):
            cells = _row(chance, number) if number else HEADER.split(",")
            for place, cell in enumerate(cells):
                sheet.write_number(number, place, float(cell)) if number and place in (5, 6, 7) else sheet.write_string(
                    number, place, cell
                )


def write_pdf(path: Path, pages: int) -> int:
    """A document of pages full of words in one font, as an office program prints it; returns how many words."""
    chance = random.Random(7)  # noqa: S311 - as above
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(pages))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {pages}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ]
    for number in range(pages):
        lines = (" ".join(_word(chance) for _ in range(_PDF_WORDS)) for _ in range(_PDF_LINES))
        text = "\n".join(f"({line})Tj T*" for line in lines)
        packed = zlib.compress(f"BT /F1 9 Tf 16 TL 40 800 Td\n{text}\nET".encode())
        size = "/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>"
        objects.append(f"<</Type/Page/Parent 2 0 R{size}/Contents {5 + 2 * number} 0 R>>".encode())
        objects.append(f"<</Filter/FlateDecode/Length {len(packed)}>>stream\n".encode() + packed + b"\nendstream")
    with path.open("wb") as file:
        file.write(b"%PDF-1.4\n")
        places = []
        for number, content in enumerate(objects, start=1):
            places.append(file.tell())
            file.write(f"{number} 0 obj\n".encode() + content + b"\nendobj\n")
        start = file.tell()
        table = "".join(f"{place:010} 00000 n \n" for place in places)
        head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
        file.write(f"{head}trailer<</Root 1 0 R/Size {len(objects) + 1}>>\nstartxref\n{start}\n%%EOF\n".encode())
    return pages * _PDF_LINES * _PDF_WORDS


def _word(chance: random.Random) -> str:
    return "".join(chance.choices(_SYLLABLES, k=chance.randrange(1, 4)))
