"""Which encoding a file is in, from evidence; a line that is in none of them is a reject, never a guess."""

import codecs

import pytest

from core.errors import PermanentError
from importer import encoding
from importer.readers import ReadOptions, table_reader
from tests.unit.importer.tables import read, source

# fmt: off
_TEXTS = {
    "cp932": "名前,年齢\n佐藤太郎,30\n髙橋淳①,35\n",  # NEC's and IBM's additions: not in shift_jis
    "cp1252": "Müller,Straße,5 €\nJosé,Peña,naïve\n",
    "iso8859-15": "Müller,5 €\nJosé,Peña\n",
    "cp1250": "Żółć,Łódź,Kraków\nČeské Budějovice,příliš\n",
    "cp1251": "Иванов,Москва,улица Ленина\nПетров,Казань\n",
    "koi8-r": "Иванов,Москва,улица Ленина\nПетров,Казань\n",
    "gb18030": "张伟,北京市,朝阳区\n李娜,上海市\n",
    "big5": "陳大文,台北市,信義區\n林小明,高雄市\n",
    "cp949": "김철수,서울특별시\n이영희,부산광역시\n",
    "cp1253": "Γιώργος,Αθήνα\nΜαρία,Θεσσαλονίκη\n",
    "cp1254": "İstanbul,Şişli,Çağrı\nĞüneş,ılık\n",
    "cp1255": "ישראל,תל אביב\nירושלים,חיפה\n",
    "cp1256": "محمد,القاهرة\nأحمد,الرياض\n",
    "cp1257": "Jānis,Rīga,Šķūnis\nŽagarė\n",
    "cp874": "สมชาย,กรุงเทพ\nสมหญิง,เชียงใหม่\n",
    "mac_roman": "Müller,Straße\nJosé,Peña\n",
    "cp850": "Müller,Straße\nJosé,Peña\n",
}
# fmt: on


@pytest.mark.parametrize("name", _TEXTS)
def test_a_few_lines_among_ascii_tell_the_encoding(name: str) -> None:
    text = "id,value\n" * 500 + _TEXTS[name]
    found = encoding.detect(source(text.encode(name)))
    lines = [line for line in text.encode(name).splitlines() if not line.isascii()]
    assert [line.decode(found.fallback or found.name) for line in lines] == _TEXTS[name].splitlines()[-len(lines) :]


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("has_mark", [True, False])
def test_wide_text_is_known_by_its_mark_or_its_nul_bytes(name: str, has_mark: bool) -> None:
    text = "name;city\nJosé;Málaga\nŻółć;Łódź\n"
    mark = "\ufeff".encode(name) if has_mark else b""
    columns, rows, rejects = read("csv", mark + text.encode(name))
    assert (columns, rows, rejects) == (("name", "city"), [["José", "Málaga"], ["Żółć", "Łódź"]], [])


def test_a_mark_is_no_part_of_the_first_column() -> None:
    assert read("csv", codecs.BOM_UTF8 + "é,b\n1,2\n".encode())[0] == ("é", "b")


def test_lines_of_two_encodings_are_each_read_in_their_own() -> None:
    content = "id,name\n" + "1,Müller\n" * 20
    mixed = content.encode() + "2,Señor\n".encode("cp1252") + "3,naïve\n".encode()
    _, rows, rejects = read("csv", mixed)
    assert rows[-2:] == [["2", "Señor"], ["3", "naïve"]]
    assert not rejects


def test_a_line_that_is_in_no_encoding_of_the_file_is_rejected() -> None:
    content = "id,name\n1,Müller\n".encode() + b"2,\xff\xfe\x81\n3,ok\n"
    _, rows, rejects = read("csv", content, encoding="utf-8")
    assert rows == [["1", "Müller"], ["3", "ok"]]
    assert [(reject.row, reject.line, reject.code) for reject in rejects] == [(2, 3, "encoding")]


def test_wide_text_goes_on_where_it_stopped() -> None:
    text = "id,name\n" + "".join(f"{number},Zoë {number}\n" for number in range(2_500))
    file_source = source(text.encode("utf-16"))
    with table_reader("csv").open(file_source, ReadOptions()) as file:
        table = file.tables[0]
        chunks = list(file.read(table, table.start))
        again = list(file.read(table, chunks[0].end))
    assert [chunk.rows for chunk in again] == [chunk.rows for chunk in chunks[1:]]


@pytest.mark.parametrize("name", ["utf-7", "unicode_escape", "raw-unicode-escape", "base64", "klingon"])
def test_an_encoding_that_is_none_or_makes_halves_of_characters_is_refused(name: str) -> None:
    with pytest.raises(PermanentError) as refused:
        read("csv", "a,b\n+2AA-,\\ud800\n", encoding=name)
    assert refused.value.code == "encoding"


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("has_mark", [True, False])
def test_half_of_a_character_in_wide_text_costs_its_line(name: str, has_mark: bool) -> None:
    mark = "\ufeff" if has_mark else ""
    content = f"{mark}id,name\n1,Ann\n2,\ud800x\n3,\U0001f600\n".encode(name, "surrogatepass") + b"4"
    _, rows, rejects = read("csv", content)
    assert rows == [["1", "Ann"], ["3", "\U0001f600"]]
    assert [(reject.line, reject.code) for reject in rejects] == [(3, "encoding"), (5, "encoding")]
