"""Ranges of a file, wherever they are cut and whatever is in it, make what one reader makes of it."""

from dataclasses import dataclass
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from importer import cutting
from importer.bordered import BorderedFile
from importer.engine import convert, output_fields, stream_of
from importer.joining import LEAST_PART, JoinedPart, Span, plan_parts, renumbered
from importer.opening import plain_mapping, plain_template
from importer.pieces import RangeWriter, count_between
from importer.ranges import FEW_STRAYS, Misplaced, RangeWork, Scan, Whole, choose_starts, cut, fit, place, replaced
from importer.readers import ReadOptions, TableFile, table_reader
from importer.rows import RowMaker
from importer.scanning import scan
from importer.source import BytesSource
from importer.values import Checkpoint, Table
from importer.writers import load_writer

_HEADER = "name,mail,note\n"


@dataclass(slots=True)
class _Made:
    output: bytes
    rejects: bytes
    rounds: int = 0


def _convert(
    file: TableFile, table: Table, start: Checkpoint, output_format: str, *, is_first: bool
) -> tuple[_Made, Checkpoint]:
    target = plain_template(table)
    writer = RangeWriter(stream_of(load_writer(output_format)), is_first=is_first)
    made, last = _Made(b"", b""), start
    for part in convert(
        file,
        table,
        template=target,
        maker=RowMaker(target, plain_mapping(table), table.columns),
        writer=writer,
        start=start,
        part_bytes=300,
    ):
        made.output += part.output
        made.rejects += part.rejects
        last = part.checkpoint or last
    return made, last


def _in_ranges(content: bytes, kind: str, size: int, output_format: str = "jsonl") -> _Made:
    """As the processors do it, one after the other."""
    source = BytesSource("file", content)
    with table_reader(kind).open(source, ReadOptions()) as file:
        table = file.tables[0]
        quote = '"' if kind == "csv" else ""
        works = [
            RangeWork(begin=begin, end=end, quote=quote)
            for begin, end in cut(table.start["offset"], table.start.get("end", source.size), size)
        ]
        scans = [scan(source, work, file, table, is_first=not number) for number, work in enumerate(works)]
        works = place(
            [work.model_copy(update={"scan": each}) for work, each in zip(works, scans, strict=True)], table.start
        )
        made: dict[int, _Made] = {}
        waiting = [number for number, work in enumerate(works) if work.start]
        for rounds in range(1, 4 * len(works)):
            for number in waiting:
                work = works[number]
                reading = file if work.border is None else BorderedFile(file, work.border)
                start = Checkpoint(etag="e", position=work.start)
                made[number], reached = _convert(reading, table, start, output_format, is_first=not number)
                works[number] = work.model_copy(update={"reached": reached})
            found = fit(works, table.start, "e", None)
            if isinstance(found, Whole):
                return _join(works, made, found, table, output_format, rounds)
            again = replaced(works, found)
            works = [again.get(number, work) for number, work in enumerate(works)]
            for number in again:
                made.pop(number, None)
            waiting = [number for number in again if works[number].start]
        raise AssertionError("ranges that never fit")


def _join(
    works: list[RangeWork], made: dict[int, _Made], whole: Whole, table: Table, output_format: str, rounds: int
) -> _Made:
    writer, fields = stream_of(load_writer(output_format)), output_fields(plain_template(table))
    joined, written = _Made(b"", b"", rounds), 0
    for number, work in enumerate(works):
        if number not in made:
            continue
        rows = work.reached.rows_ok if work.reached else 0
        spare = count_between(writer, fields) if number and rows and not written else 0
        joined.output += made[number].output[spare:]
        joined.rejects += b"".join(renumbered(iter([made[number].rejects]), whole.shifts[number]))
        written += rows
    joined.output += writer.tail(fields, written)
    assert written == whole.last.rows_ok
    return joined


def _alone(content: bytes, kind: str, output_format: str = "jsonl") -> _Made:
    with table_reader(kind).open(BytesSource("file", content), ReadOptions()) as file:
        table, writer = file.tables[0], stream_of(load_writer(output_format))
        made, last = _convert(file, table, Checkpoint(etag="e"), output_format, is_first=True)
        made.output += writer.tail(output_fields(plain_template(table)), last.rows_ok)
        return made


def _check(text: str, kind: str, size: int, output_format: str = "jsonl") -> _Made:
    many, one = _in_ranges(text.encode(), kind, size, output_format), _alone(text.encode(), kind, output_format)
    assert (many.output, many.rejects) == (one.output, one.rejects)
    return many


_CELLS = st.one_of(
    st.sampled_from(
        ["", "x", '"a\nb"', '"a,\n\nb,c,d\n"', '""', '"say ""no"""', 'a 5" pipe', '"', '"\n', "\n", "\r\n", "ü"]
    ),
    st.text(st.sampled_from('ab,"\n\r '), max_size=12),
)


@given(
    st.lists(st.tuples(_CELLS, _CELLS, _CELLS), min_size=1, max_size=60),
    st.integers(5, 400),
    st.sampled_from([1, 3, 1_000]),
    st.sampled_from(["jsonl", "json", "csv", "markdown"]),
)
@example([("x", "y", "z")] * 30, 7, 1, "json")
@example([("x", "y", "z")] * 9 + [("", "", "")] * 9 + [('"a\nb"', "y", "z")] * 30, 40, 3, "jsonl")
@example([('"a\nb', "c", "d")] * 30, 11, 3, "jsonl")
def test_any_csv_in_ranges_of_any_size_gives_the_same_bytes(
    rows: list[tuple[str, str, str]], size: int, chunk_rows: int, output_format: str
) -> None:
    text = _HEADER + "Ada,ada@example.com,first\n" + "".join(",".join(row) + "\n" for row in rows)
    with patch("importer.readers.csv.CHUNK_ROWS", chunk_rows):
        _check(text, "csv", size, output_format)


_LINES = ['{"a":1,"b":"x"}', "", "no json", '{"a":"\\n","b":null}', '{"a":2,"b":"' + "y" * 90 + '"}']


@given(
    st.lists(st.sampled_from(_LINES), min_size=1, max_size=80), st.integers(5, 300), st.sampled_from(["jsonl", "csv"])
)
def test_any_json_lines_in_ranges_of_any_size_give_the_same_bytes(
    lines: list[str], size: int, output_format: str
) -> None:
    _check("\n".join(['{"a":0,"b":"first"}', *lines]) + "\n", "jsonl", size, output_format)


def test_parity_finds_the_records_of_a_well_formed_file_at_the_first_try() -> None:
    cell = '"' + "x,y,z\n" * 20 + '"'  # looks like rows of the table itself
    text = _HEADER + f"Ada,ada@example.com,{cell}\nBob,bob@example.com,short\n" * 40
    made = _check(text, "csv", 150)
    assert made.rounds == 1


def test_what_looks_right_is_believed_where_stray_quotes_make_parity_lie() -> None:
    inch = 'Ada,ada@example.com,a 5" pipe\n'
    text = _HEADER + inch + "Bob,bob@example.com,short\n" * 200 + inch + 'Eve,eve@example.com,"two\nlines"\n' * 100
    with patch("importer.readers.csv.CHUNK_ROWS", 20):
        made = _check(text, "csv", 700)
    assert made.rounds == 1


def test_a_range_ends_at_its_border_only_where_a_record_begins() -> None:
    before = _HEADER + "Ada,ada@example.com,x\n"
    inside = before + 'Bob,bob@example.com,"two\n'
    text = inside + 'lines"\nEve,eve@example.com,y\n'
    with table_reader("csv").open(BytesSource("file", text.encode()), ReadOptions()) as file:
        (table,) = file.tables
        ends = [
            [chunk.end["offset"] for chunk in BorderedFile(file, len(border)).read(table, table.start)]
            for border in (before, inside)
        ]
        none = list(BorderedFile(file, len(before)).read(table, {"offset": len(text), "line": 9, "row": 9}))
    assert ends == [[len(before)], [len(text)]]
    assert none == []


def test_a_cell_that_is_longer_than_ranges_makes_one_of_them() -> None:
    text = _HEADER + "Ada,ada@example.com,x\n" + 'Bob,bob@example.com,"' + "line\n" * 300 + '"\nEve,e@example.com,y\n'
    assert _check(text, "csv", 100).output.count(b"\n") == 3


def test_many_quotes_without_an_end_are_counted_over_all_ranges() -> None:
    stray = '"Ada,ada@example.com,x\n'
    long = 'Bob,bob@example.com,"' + "line\n" * 150 + '"\n'  # believed only while strays are few
    _check(_HEADER + "A,a@example.com,x\n" + (stray + "B,b@example.com,y\n") * 130 + long + stray * 3, "csv", 500)
    assert vars(cutting)["_MANY_STRAYS"] >= FEW_STRAYS


def test_a_range_is_chosen_by_parity_unless_only_the_other_place_looks_right() -> None:
    def work(begin: int, outside_fit: float = 1.0, inside_fit: float = 1.0, *, is_odd: bool = False) -> RangeWork:
        fits = {"outside_fit": outside_fit, "inside_fit": inside_fit}
        found = Scan(is_odd=is_odd, outside=begin + 1, inside=begin + 2).model_copy(update=fits)
        return RangeWork(begin=begin, end=begin + 100, quote='"', scan=found)

    works = [work(0, is_odd=True), work(100), work(200, is_odd=True), work(300)]
    assert choose_starts(works) == [0, 102, 202, 301]
    works[1] = work(100, inside_fit=0.1)
    assert choose_starts(works) == [0, 101, 201, 302]


def test_a_range_that_began_elsewhere_is_done_again_with_what_it_swallows() -> None:
    def done(begin: int, end: int, start: int, reached: int) -> RangeWork:
        position = {"offset": reached, "line": 11, "row": 10}
        last = Checkpoint(etag="e", position=position, rows_ok=9, rows_rejected=1, is_done=True)
        place = {"offset": start, "line": 1, "row": 0}
        return RangeWork(begin=begin, end=end, start=place, reached=last, pieces=(5,))

    works = [done(0, 100, 0, 250), done(100, 200, 110, 210), done(200, 300, 210, 310), done(300, 400, 310, 400)]
    found = fit(works, {"offset": 0, "line": 2, "row": 0}, "e", None)
    assert found == Misplaced(1, {"strays": 0, "offset": 250, "line": 12, "row": 10})
    again = replaced(works, found)
    assert {number: (work.start.get("offset"), work.border, work.pieces) for number, work in again.items()} == {
        1: (250, 310, ()),
        2: (None, None, ()),
    }


def test_ranges_beyond_the_one_at_which_an_import_fails_do_not_count() -> None:
    def done(start: int, rejected: int, code: str = "") -> RangeWork:
        last = Checkpoint(etag="e", position={"offset": start + 100, "line": 11, "row": 10}, rows_rejected=rejected)
        problem = (code, "") if code else None
        work = RangeWork(begin=start, end=start + 100, start={"offset": start, "line": 1, "row": 0}, reached=last)
        return work.model_copy(update={"problem": problem})

    first = {"offset": 0, "line": 1, "row": 0}
    found = fit([done(0, 2), done(100, 2), done(999, 0)], first, "e", 3)
    assert isinstance(found, Whole)
    assert (found.count, found.problem and found.problem[0], found.last.rows_rejected) == (2, "too-many-errors", 4)
    found = fit([done(0, 2), done(100, 0, "file-changed"), done(999, 0)], first, "e", None)
    assert isinstance(found, Whole)
    assert (found.count, found.problem) == (2, ("file-changed", ""))


@given(st.lists(st.integers(0, 3 * LEAST_PART), max_size=20), st.sampled_from([b"", b"]\n"]))
def test_joined_parts_are_all_bytes_in_order_and_never_too_small(sizes: list[int], tail: bytes) -> None:
    spans = [Span(str(number), 0, size) for number, size in enumerate(sizes)]
    parts = plan_parts(spans, tail)
    assert b"".join(part.tail for part in parts) == tail
    assert all(not part.tail for part in parts[:-1])
    assert all(sum(span.size for span in part.spans) >= LEAST_PART for part in parts[:-1])
    assert all(part.is_copied or sum(span.size for span in part.spans) < 3 * LEAST_PART for part in parts)
    told = [span for part in parts for span in part.spans]
    for span in spans:
        mine = [each for each in told if each.key == span.key]
        assert [each.start for each in mine] == [0, *[each.end for each in mine[:-1]]][: len(mine)]
        assert sum(each.size for each in mine) == span.size
    assert [span.key for span in told] == sorted((span.key for span in told), key=int)


def test_large_pieces_are_copied_and_never_read() -> None:
    spans = [Span("a", 0, 2 * LEAST_PART), Span("b", 0, 10), Span("c", 0, 2 * LEAST_PART)]
    assert [part.is_copied for part in plan_parts(spans, b"")] == [True, False, True]
    assert plan_parts([Span("a", 0, LEAST_PART)], b"]") == [
        JoinedPart((Span("a", 0, LEAST_PART),)),
        JoinedPart((), b"]"),
    ]
