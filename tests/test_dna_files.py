"""Files of DNA profiles: what users have is read, damage is told with its place, what is written comes back."""

import csv
import io
import json
import logging
import os
import random
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcc_match import _cpu
from pcc_match.dna import drafts
from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.files import Batch, Reject, Rejects, read_columns, write_csv, write_json
from pcc_match.dna.loci import LOCI, locus
from pcc_match.dna.profile import KINDS, SINGLES, DnaProfile
from pcc_match.errors import ProfileError

SHARED = Path(__file__).parents[2] / "shared" / "data" / "dna"
MIB = 1 << 20


def as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def gathered(batches: Iterable[Batch]) -> tuple[list[DnaProfile], list[Reject]]:
    profiles, rejects = [], []
    for batch in batches:
        profiles += [batch.columns.profile(row) for row in range(len(batch.columns))]
        rejects += batch.rejects
    return profiles, rejects


def read(text: str | bytes, **options) -> tuple[list[DnaProfile], list[Reject]]:
    return gathered(read_columns(io.BytesIO(as_bytes(text)), **options))


def alleles(text: str | bytes, **options) -> dict[str, dict[str, tuple[str, ...]]]:
    """The alleles of each id, of a file in which all is well."""
    profiles, rejects = read(text, **options)
    assert not rejects
    return {profile.id: dict(profile.alleles) for profile in profiles}


@pytest.fixture
def small_pieces(monkeypatch):
    """Files are read 16 bytes at a time."""
    monkeypatch.setattr(drafts, "PIECE", 16)


# ---- Rows and cells: those of Python's csv module, but for a quote that is not closed ----


def rows_by_the_csv_module(text: str) -> Iterator[tuple[int, int, list[str]]]:
    """(line, number of cells or -1, cells) of each row."""
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines)
    line = 1
    for cells in reader:
        if reader.line_num == len(lines) and list(csv.reader([*lines[line - 1 :], "\n", "end"]))[-1] != ["end"]:
            break  # it has run to the end for want of a quote
        if any(cells):
            yield line, len(cells), cells
        line = reader.line_num + 1
    for number, single in enumerate(lines[line - 1 :], line):
        rows = list(csv.reader([single.rstrip("\r\n"), "\n", "end"]))
        if rows[-1] != ["end"]:
            yield number, -1, []
        elif any(rows[0]):
            yield number, len(rows[0]), rows[0]


def rows_by_the_library(text: bytes, piece: int, most: int) -> Iterator[tuple[int, int, list[str]]]:
    data, line, taken = b"", 1, 0
    while True:
        last = taken >= len(text)
        tables, _, end, lines, cells, consumed, line_ends, too_long = _cpu.csv_rows(
            data, ",", last, [(0, column) for column in range(6)], [6], most
        )
        assert not too_long
        heap, offsets, numbers = tables[0]
        texts = [heap[start:stop].decode() for start, stop in pairwise(offsets.tolist())]
        for row, count in enumerate(cells.tolist()):
            shown = [texts[number] for number in numbers[row, : max(count, 0)].tolist()]
            yield line + int(lines[row]), count, shown
            assert data[end[row] : end[row] + 1] in (b"", b"\n", b"\r")
        data, line = data[consumed:], line + line_ends
        if not len(cells):
            if last:
                return
            data, taken = data + text[taken : taken + piece], taken + piece


@settings(max_examples=400)
@given(st.text('a9,"\n\r;\0é ', max_size=30), st.integers(1, 9), st.integers(1, 5))
def test_rows_and_cells_are_those_of_the_csv_module(text, piece, most):
    found = list(rows_by_the_library(text.encode(), piece, most))
    assert found == [(line, count, cells[:6]) for line, count, cells in rows_by_the_csv_module(text)]


# ---- Wide tables ----


@pytest.mark.parametrize(
    "text",
    [
        "id,kind,TH01_1,TH01_2,AMEL_1,AMEL_2\na,person,6,9.3,X,Y\n",
        "kind;AMEL.2;AMEL.1;th 01.2;TH-01.1;id\r\nperson;Y;X;9.3;6;a\r\n",
        '"id"\t"kind"\t"HUMTH01_1"\t"THO1_2"\tamelogenin_1\tAmelogenin_2\ra\tPERSON\t6\t"9.3"\tX\tY',
        b"\xef\xbb\xbfSpecimen ID,TH01_1,TH01_2,AMEL_1,AMEL_2\n\n a , 6,9.3 ,X,Y\n\n",
        "sampleName,kind,TH01_01,TH01_2,TH01_3,AMEL_1,AMEL_2\na,NULL,6,NULL,9.3,X,Y",
    ],
)
def test_wide_tables_of_every_style_say_the_same(text):
    assert read(text) == ([DnaProfile("a", "person", {"TH01": ("6", "9.3"), "AMEL": ("X", "Y")})], [])


def test_a_decimal_comma_stays_as_written():
    assert alleles("id;TH01_1;TH01_2\na;9,3;6\n") == {"a": {"TH01": ("9,3", "6")}}


def test_empty_and_null_are_absent_everywhere():
    text = "id,kind,country,TH01_1,TH01_2,FGA_1,FGA_2,FGA_3,FGA_4\na,,NULL,,NULL,null,21,,24\n"
    assert read(text, kind="stain") == ([DnaProfile("a", "stain", {"FGA": ("21", "24")})], [])


def test_empty_rows_are_no_profiles():
    assert list(alleles('\n,,\nid,TH01_1,TH01_2\n\n,,\na,6,7\n,,\n"",,\n,\n')) == ["a"]


def test_as_many_alleles_as_the_columns_say():
    header = ["id", *(f"TH01_{slot}" for slot in range(1, 13))]
    cells = ["a", *map(str, range(2, 14))]
    text = ",".join(header) + "\n" + ",".join(cells)
    assert alleles(text) == {"a": {"TH01": tuple(cells[1:])}}


def test_columns_have_no_more_slots_than_profiles_need():
    (batch,) = read_columns(io.BytesIO(b"id,TH01_1,TH01_2,TH01_3,TH01_4\na,6,9,NULL,NULL\nb,6,9,,10\n"), batch_rows=2)
    assert batch.columns.alleles.shape == (2, 1, 3)
    (batch,) = read_columns(io.BytesIO(b"id,TH01_1\na,6\n"))
    assert batch.columns.alleles.shape == (1, 1, 2)


def test_what_a_single_value_means_is_said_by_the_row_or_the_caller():
    text = "id,single,TH01_1,TH01_2\na,,6,\nb,homozygous,6,\nc,wildcard,6,\n"
    assert [profile.single for profile in read(text)[0]] == ["wildcard", "homozygous", "wildcard"]
    assert [profile.single for profile in read(text, single="homozygous")[0]] == [
        "homozygous",
        "homozygous",
        "wildcard",
    ]


def test_country_agency_and_kit():
    text = "id,Kit,agency,country,TH01_1\na,ESX 17,LKA,AT,6\nb,,LKA,,6\n"
    th01 = {"TH01": ("6",)}
    assert read(text)[0] == [
        DnaProfile("a", "person", th01, country="AT", agency="LKA", kit="ESX 17"),
        DnaProfile("b", "person", th01, agency="LKA"),
    ]


def test_columns_that_are_no_loci_are_left_out_and_told(caplog):
    text = "id,pop,TH01_1,Height 1,sample,XYZ_1\na,AA,6,100,7,8\n"
    assert alleles(text, ignore=["XYZ"]) == {"a": {"TH01": ("6",)}}
    assert caplog.messages == ["the file: columns left out: 'pop', 'Height 1', 'sample', 'XYZ_1'"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: no header"),
        ('"id,TH01_1\n', "line 1: no header"),
        ("TH01_1,TH01_2\n", "line 1: no column 'id' among 'TH01_1', 'TH01_2'"),
        ("id,country\na,AT\n", "line 1: no alleles"),
        ("\n\nid,TH01\n", "line 3: column 'TH01': call the columns of a locus TH01_1, TH01_2"),
        ("id,TH01_0,TH01_1\n", "column 'TH01_0': call the columns of a locus TH01_1, TH01_2"),
        ("id,TH01_1,D3S1385.1\n", "column 'D3S1385.1': unknown locus 'D3S1385': did you mean D3S1358"),
        ("id,TH01_1,THO1.1\n", "columns 'TH01_1' and 'THO1.1' are one"),
        ("id,TH01_1,ID\n", "two columns 'id'"),
        ("id,kind,TH01_1,Kind\n", "two columns 'kind'"),
        ("id,TH01_1\n".encode("utf-16"), "UTF-16"),
        (b"id,\xff,TH01_1\n", "line 1: the header is not UTF-8"),
        (b"PK\x03\x04" + bytes(range(256)), "line 1: "),
        ("id,TH01_1\na,6\n" + "x" * (MIB + 1) + "\n", "line 3: a line of more than 1 MiB"),
        ("x" * (9 * MIB), "line 1: no header"),
        ("[[[", "line 1: not JSON"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_file_that_is_no_table_of_profiles_is_refused_with_its_line(text, message):
    with pytest.raises(ProfileError, match="the file, line") as error:
        read(text)
    assert message in str(error.value)
    assert len(str(error.value)) < 2000


def test_the_callers_defaults_are_checked():
    with pytest.raises(ProfileError, match="kind 'persons' is none of person, stain, missing, remains"):
        read("id,TH01_1\n", kind="persons")
    with pytest.raises(ProfileError, match="single 'both' is none of wildcard, homozygous"):
        read("id,TH01_1\n", single="both")


HEADER = "id,kind,country,TH01_1,TH01_2,AMEL_1,AMEL_2"


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        (b"b,person,AT,9.7,6,X,Y", "TH01_1", "TH01: allele '9.7' has 7 bases beside its repeats of 4 bases: too many"),
        (b"b,person,AT,6,9.3.1,X,9", "TH01_2", "TH01: allele '9.3.1' is not written as an allele"),
        (b"b,person,AT,6,9,X,7", "AMEL_2", "AMEL: allele '7' is not X or Y"),
        (b"b,person,AT,6,9,X,\xff", "AMEL_2", "'\\udcff' is not UTF-8"),
        (b"b,person,AT,6,9\0,X,", "TH01_2", "TH01: allele '9\\x00' is not a text of up to 255 printable"),
        (b"b,suspect,AT,6,9,X,Y", "kind", "kind 'suspect' is none of person, stain, missing, remains"),
        (b"b,person,\xc3,6,9,X,Y", "country", "'\\udcc3' is not UTF-8"),
        (b"\xc3\x28,person,AT,6,9,X,Y", "id", "'\\udcc3(' is not UTF-8"),
        (b'"b\nc",person,AT,6,9,X,Y', "id", "id 'b\\nc' is not a text of printable characters"),
        (b" ,person,AT,6,9,X,Y", "id", "the id is empty"),
        (b"NULL,person,AT,6,9,X,Y", "id", "the id is empty"),
        (b"b,person,AT,6,9,X", "", "6 cells under 7 columns"),
        (b"b,person,AT,6,9,X,Y,", "", "8 cells under 7 columns"),
        (b'b,person,"AT,6,9,X,Y', "", "a quote is not closed"),
    ],
)
def test_a_bad_row_is_told_with_its_place_and_the_others_go_in(row, column, reason):
    good = b"%s,stain,,6,9,X,Y"
    text = b"\n".join([HEADER.encode(), good % b'"a"', b"", row, good % b"c", good % b"\xc3\xa9"])
    profiles, rejects = read(text)
    assert [profile.id for profile in profiles] == ["a", "c", "é"]
    (reject,) = rejects
    assert (reject.line, reject.column) == (4, column)
    assert reject.reason.startswith(reason)
    assert reject.row.encode("utf-8", "surrogateescape") == row


def test_the_first_problem_of_a_row_is_told_once():
    profiles, rejects = read(HEADER + "\na,nobody,AT,9.7,9.7,X,Y\nb,person,AT,9.7,9.9,X,Y\n")
    assert not profiles
    assert [(reject.line, reject.column) for reject in rejects] == [(2, "kind"), (3, "TH01_1")]


def test_lines_are_counted_as_an_editor_counts_them():
    text = 'id,agency,TH01_1\r\na,"x",6\r\n\r\n"b","",6.9\r\nc,"1\n2\r\n3",6\r\nd,,6.9\r\n'
    assert [(reject.line, reject.column) for reject in read(text)[1]] == [(4, "TH01_1"), (5, "agency"), (8, "TH01_1")]


def test_a_stray_quote_costs_one_row_only():
    rows = [f"p{number},person,AT,6,9.3,X,Y" for number in range(40_000)]
    rows[7] = 'p7,person,"AT,6,9.3,X,Y'
    profiles, rejects = read("\n".join([HEADER, *rows]))
    assert len(profiles) == 39_999
    assert [(reject.line, reject.reason, reject.row) for reject in rejects] == [(9, "a quote is not closed", rows[7])]


def test_quotes_that_never_close_are_read_in_one_go():
    """Each line opens a quote anew, and the search for its end must not start anew with each."""
    text = 'id,TH01_1\n"a\n' + 'a","\n' * 250_000
    _, rejects = read(text)
    assert len(rejects) == 250_001


def test_texts_beyond_the_numbers_of_a_batch_make_smaller_batches():
    """Allele texts are numbered with 16 bits; 150,000 different remarks do not fit into one batch."""
    rows = [f"p{number},remark {2 * number},remark {2 * number + 1}" for number in range(75_000)]
    batches = list(read_columns(io.BytesIO("\n".join(["id,TH01_1,TH01_2", *rows]).encode()), batch_rows=1 << 20))
    assert len(batches) > 2
    profiles = [batch.columns.profile(len(batch.columns) - 1) for batch in batches]
    for profile in profiles:
        number = int(profile.id[1:])
        assert profile.alleles == {"TH01": (f"remark {2 * number}", f"remark {2 * number + 1}")}
    assert sum(len(batch.columns) for batch in batches) == 75_000


@st.composite
def wide_tables(draw):
    names = draw(
        st.lists(st.sampled_from(["TH01", "FGA", "Penta D", "AMEL", "DYS391"]), min_size=1, max_size=3, unique=True)
    )
    columns = ["id", *draw(st.lists(st.sampled_from(["kind", "single", "country", "kit"]), unique=True))]
    columns += [f"{name}_{slot}" for name in names for slot in range(1, draw(st.integers(1, 4)) + 1)]
    columns = draw(st.permutations(columns))
    cell = {
        "id": st.sampled_from(["a", "b", " é", "", "x\ny", "n\0"]),
        "kind": st.sampled_from(["", "stain", "Person", "nobody"]),
        "single": st.sampled_from(["", "wildcard", "homozygous", "NULL", "1"]),
        "country": st.sampled_from(["", "AT", "B\tA", "NULL"]),
        "kit": st.text("ab \x7f", max_size=2),
    }
    allele = st.sampled_from(["", "", "6", "9.3", "12", " 8", "X", "Y", "*", "NULL", "<8", "9.9", "999", '"', "a,b"])
    row = st.tuples(*(cell.get(column, allele) for column in columns))
    return columns, draw(st.lists(row, max_size=6))


@settings(max_examples=150, deadline=None)
@given(wide_tables(), st.integers(1, 7), st.sampled_from([1, 9, 1 << 23]))
def test_a_wide_table_is_read_as_one_profile_after_the_other_would_be(table, batch_rows, piece):
    columns, rows = table
    expected, bad = [], []
    for index, row in enumerate(rows):
        fields = {name: "" if text.strip() == "NULL" else text.strip() for name, text in zip(columns, row, strict=True)}
        profile = {name: fields[name] for name in ("country", "kit") if name in fields}
        profile["kind"] = fields.get("kind", "").casefold() or "person"
        profile["single"] = fields.get("single", "").casefold() or "wildcard"
        loci: dict[str, list[str]] = {}
        for name in sorted(columns):
            if "_" in name:
                loci.setdefault(name[:-2], []).append(fields[name])
        try:
            expected.append(DnaProfile(fields["id"], alleles=loci, **profile))
        except ProfileError:
            bad.append(index)
    text = io.StringIO()
    csv.writer(text).writerows([columns, *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drafts, "PIECE", piece)
        profiles, rejects = read(text.getvalue(), batch_rows=batch_rows)
    assert profiles == expected
    shown = io.StringIO()
    csv.writer(shown, lineterminator="\n").writerows(rows[index] for index in bad)
    assert "".join(f"{reject.row}\n" for reject in rejects) == shown.getvalue()


# ---- Long tables ----

LONG = """Sample Name\tMarker\tAllele 1\tAllele 2\tAllele 3\tHeight 1\tHeight 2\tKind
a\tTH01\t6\t9.3\t\t512\t498\tstain
a\tvWA\t17\t\t\t1020\t\tstain
b\tAMEL\tX\tY\t\t300\t310\tperson
b\tTH01\t7\t8\t9.3\t1\t2\tperson
c\tTH01\t\t\t\t\t\t
"""
LONG_PROFILES = [
    DnaProfile("a", "stain", {"TH01": ("6", "9.3"), "VWA": ("17",)}),
    DnaProfile("b", "person", {"AMEL": ("X", "Y"), "TH01": ("7", "8", "9.3")}),
    DnaProfile("c", "person", {}),
]


def test_a_long_table_with_heights(caplog):
    assert read(LONG) == (LONG_PROFILES, [])
    assert caplog.messages == ["the file: columns left out: 'Height 1', 'Height 2'"]


def test_long_tables_of_other_styles():
    text = "marker,allele1,allele2,SampleName\nTH01,6,9.3,a\nTH01,NULL,,b\n"
    assert alleles(text) == {"a": {"TH01": ("6", "9.3")}, "b": {}}


class Pipe(io.RawIOBase):
    """A file that cannot be read twice, and gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self.file.read(min(len(buffer), 7))
        buffer[: len(data)] = data
        return len(data)


@pytest.mark.parametrize("piece", [1, 30, 1 << 20])
@pytest.mark.parametrize("make", [io.BytesIO, Pipe])
def test_rows_of_a_sample_need_not_stand_together(monkeypatch, piece, make):
    header, *rows = LONG.splitlines(keepends=True)
    expected = {profile.id: profile for profile in LONG_PROFILES}
    monkeypatch.setattr(drafts, "PIECE", piece)
    for seed in range(20):
        random.Random(seed).shuffle(rows)
        profiles, rejects = gathered(read_columns(make("".join([header, *rows]).encode()), batch_rows=2))
        assert not rejects
        assert {profile.id: profile for profile in profiles} == expected
        assert [profile.id for profile in profiles] == list(dict.fromkeys(row[0] for row in rows))


def test_of_samples_that_stand_together_few_are_held(monkeypatch):
    """The first ones are handed out long before the file ends."""
    monkeypatch.setattr(drafts, "PIECE", 1000)
    rows = [f"p{number},{marker},6,8\n" for number in range(1000) for marker in ("TH01", "FGA", "VWA")]
    file = io.BytesIO("".join(["SampleName,Marker,Allele1,Allele2\n", *rows]).encode())
    batches = read_columns(file)
    first = next(batches)
    assert file.tell() < 5000
    assert first.bytes_read == file.tell()
    assert len(first.columns) + sum(len(batch.columns) for batch in batches) == 1000


@pytest.mark.parametrize("piece", [1, 1 << 20])
@pytest.mark.parametrize(
    ("rows", "line", "column", "reason"),
    [
        ("b,TH01,6,9,AT\nb,FGA,20.9,21,AT\n", 4, "Allele1", "FGA: allele '20.9' has 9 bases"),
        ("b,TH01,6,9,AT\nb,FGA,20,21.9,AT\n", 4, "Allele 2", "FGA: allele '21.9' has 9 bases"),
        ("b,TH01,6,9,AT\nb,FGA,20,21,AT\nb,THO1,6,9,AT\n", 5, "Marker", "the sample has this marker twice"),
        ("b,TH01,6,9,AT\nb,FGA,20,21,SI\n", 4, "Country", "differs within the sample"),
        ("b,TH01,6,9,AT\nb,FGA,20,21\n", 4, "", "4 cells under 5 columns"),
        ('b,TH01,6,9,AT\nb,FGA,"20,21,AT\n', 4, "", "a quote is not closed"),
        ("b,TH01,6,9,AT\nb,,20,21,AT\n", 4, "Marker", "the row names no marker"),
        (",TH01,6,9,AT\n", 3, "SampleName", "the id is empty"),
    ],
)
def test_a_sample_with_a_bad_row_is_left_out_whole(monkeypatch, piece, rows, line, column, reason):
    monkeypatch.setattr(drafts, "PIECE", piece)
    text = f"SampleName,Marker,Allele1,Allele 2,Country\na,TH01,6,9,AT\n{rows}c,TH01,6,9,AT\n"
    profiles, rejects = read(text)
    assert [profile.id for profile in profiles] == ["a", "c"]
    (reject,) = rejects
    assert (reject.line, reject.column) == (line, column)
    assert reject.reason.startswith(reason)
    assert reject.row == text.splitlines()[line - 1]


@pytest.mark.parametrize("piece", [40, 1 << 20])
def test_an_unknown_marker_is_told_before_any_profile(monkeypatch, piece):
    monkeypatch.setattr(drafts, "PIECE", piece)
    text = "SampleName,Marker,Allele1,Allele2\n" + "a,TH01,6,9\nb,TH01,6,9\nc,FGA,20,21\nc,IQCS,1,\n"
    with pytest.raises(ProfileError, match=r"line 5: unknown locus 'IQCS': .*ignore=\['IQCS'\] leaves it out"):
        next(read_columns(io.BytesIO(text.encode())))
    assert list(alleles(text, ignore=["IQCS"])) == ["a", "b", "c"]
    assert alleles("id,marker,allele1\na,IQCS,1\n", ignore=["IQCS"]) == {"a": {}}


def test_a_sample_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(drafts, "PIECE", 1 << 16)
    with pytest.raises(ProfileError, match="line 2: sample 'a' has more than 10000 rows"):
        read("SampleName,Marker,Allele1,Allele2\n" + "a,TH01,6,9\n" * 20_000)


# ---- JSON ----

OBJECTS = [
    {"id": "a", "kind": "stain", "country": "AT", "alleles": {"TH01": ["6", "9.3"], "amelogenin": ["X", "Y"]}},
    {"id": " b ", "single": "homozygous", "agency": None, "kit": "ESX 17", "alleles": {"FGA": ["21", None, "NULL"]}},
    {"id": "é", "alleles": {"FGA": ["21"] * 5, "TH01": [], "VWA": [""]}},
]
OBJECT_PROFILES = [
    DnaProfile("a", "stain", {"TH01": ("6", "9.3"), "AMEL": ("X", "Y")}, country="AT"),
    DnaProfile("b", "person", {"FGA": ("21",)}, kit="ESX 17", single="homozygous"),
    DnaProfile("é", "person", {"FGA": ("21",) * 5}),
]


@pytest.mark.parametrize("piece", [1, 50, 1 << 20])
@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(json.dumps, OBJECTS)),
        "\r\n\r\n".join(json.dumps(each, ensure_ascii=False) for each in OBJECTS) + "\r\n",
        json.dumps(OBJECTS),
        "\ufeff \n" + json.dumps(OBJECTS, indent=3, ensure_ascii=False) + "\n\n",
    ],
)
def test_json_as_an_array_or_line_by_line(monkeypatch, text, piece):
    monkeypatch.setattr(drafts, "PIECE", max(piece, 6))  # the first piece tells what the file is
    assert read(text) == (OBJECT_PROFILES, [])


def test_numbers_in_json_are_texts_as_written():
    assert alleles('{"id": 17, "alleles": {"TH01": [9.0, 6]}}') == {"17": {"TH01": ("9.0", "6")}}


@pytest.mark.parametrize("piece", [8, 1 << 20])
@pytest.mark.parametrize("text", ["[ ]\n", "id,TH01_1\n", "sample,marker,allele1\n", "sample,marker,allele1\n\n\n\n"])
def test_a_file_may_have_no_profiles(monkeypatch, text, piece):
    monkeypatch.setattr(drafts, "PIECE", piece)
    assert read(text) == ([], [])


GOOD = '{"id": "a", "alleles": {"TH01": ["6", "9.3"]}}'


@pytest.mark.parametrize("form", ["lines", "array"])
@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ('{"id": "b", "alleles": {"TH01": ["6", "9.7"]}}', "alleles", "TH01: allele '9.7' has 7 bases"),
        ('{"id": "b", "alleles": {"XYZ": ["6"]}}', "alleles", "unknown locus 'XYZ'"),
        ('{"id": "b", "alleles": {"TH01": "69"}}', "alleles", "TH01 must have a list of up to 99 texts"),
        ('{"id": "b", "alleles": {"TH01": [["6"]]}}', "alleles", "TH01: an allele must be a text"),
        ('{"id": "b", "alleles": {"TH01": [true, NaN]}}', "alleles", "TH01: an allele must be a text"),
        ('{"id": "b", "alleles": {"TH01": ["6"], "th-01": ["6"]}}', "alleles", "TH01 is given twice"),
        ('{"id": "b", "alleles": {"TH01": ["6"], "TH01": ["7"]}}', "alleles", "alleles has a key twice"),
        ('{"id": "b", "alleles": ["TH01"]}', "alleles", "alleles must be a JSON object"),
        ('{"id": "b"}', "alleles", "alleles must be a JSON object"),
        ('{"id": "b", "id": "c", "alleles": {}}', "", "a profile has a key twice"),
        ('{"alleles": {"TH01": ["6"]}}', "id", "the id is empty"),
        ('{"id": "\\ud800", "alleles": {}}', "id", "'\\ud800' is not UTF-8"),
        (b'{"id": "\xff", "alleles": {}}', "id", "'\\udcff' is not UTF-8"),
        ('{"id": "b", "kind": "suspect", "alleles": {}}', "kind", "kind 'suspect' is none of person"),
        ('{"id": "b", "kit": ["x"], "alleles": {}}', "kit", "kit must be a text"),
        ("17", "", "a profile must be a JSON object"),
        ("[]", "", "a profile must be a JSON object"),
    ],
)
def test_a_bad_object_is_told_with_its_place_and_the_others_go_in(form, text, column, reason):
    start, between, end = (b"", b"\n\n", b"") if form == "lines" else (b"[", b",\n\n", b"]")
    last = GOOD.replace('"a"', '"c"')
    profiles, rejects = read(start + between.join(map(as_bytes, (GOOD, text, last))) + end)
    assert [profile.id for profile in profiles] == ["a", "c"]
    (reject,) = rejects
    assert (reject.line, reject.column) == (3, column)
    assert reject.reason.startswith(reason)
    assert reject.row.encode("utf-8", "surrogateescape") == as_bytes(text)


def test_a_line_that_is_not_json_costs_that_line_only():
    lines = [GOOD, '{"id": "b"', "[" * 100_000, "}", GOOD]
    profiles, rejects = read("\n".join(lines))
    assert len(profiles) == 2
    assert [(reject.line, reject.reason) for reject in rejects] == [
        (2, "not JSON: Expecting ',' delimiter"),
        (3, "not JSON: nested too deeply"),
        (4, "not JSON: Expecting value"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"[{GOOD},\n{GOOD}\n{GOOD}]", "line 2: not JSON: no comma or ] behind an element"),
        (f"[{GOOD},\n\n{GOOD[:-3]}]", "line 3: not JSON: "),
        (f"[{GOOD},\n", "line 2: not JSON: Expecting value"),
        (f"[{GOOD}]\n{GOOD}", "line 1: more text behind the end of the array"),
        (f"[\n{GOOD},\n" + "[" * 100_000, "line 3: not JSON: nested too deeply"),
        (f'[{GOOD},\n{{"id": "' + "x" * (10 * MIB), "line 2: not JSON: "),
        (f'{GOOD}\n{{"id": "' + "x" * (10 * MIB), "line 2: a profile of more than 1 MiB"),
        (f'{GOOD}\n{{"id": "' + "x" * (2 * MIB) + '"}', "line 2: a profile of more than 1 MiB"),
        (f'[{GOOD},\n\n{{"id": "' + "x" * (2 * MIB) + '"}]', "line 3: a profile of more than 1 MiB"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_json_file_that_breaks_off_is_refused_with_its_line(text, message):
    with pytest.raises(ProfileError, match="the file, line") as error:
        read(text)
    assert message in str(error.value)


def test_keys_that_mean_nothing_here_are_left_out_and_told(caplog):
    text = '{"id": "a", "sex": "F", "alleles": {"IQCS": ["1"], "TH01": ["6"]}}'
    assert alleles(text, ignore=["IQCS"]) == {"a": {"TH01": ("6",)}}
    assert caplog.messages == ["the file: keys left out: 'sex'"]


def test_a_few_mixtures_do_not_blow_up_a_batch():
    """In columns every profile has as many slots as the one that needs most."""
    lines = [json.dumps({"id": f"p{number}", "alleles": {"TH01": ["6"]}}) for number in range(6000)]
    lines[3000] = json.dumps({"id": "mixture", "alleles": {"TH01": [str(5 + number % 9) for number in range(99)]}})
    sizes = [batch.columns.alleles.size for batch in read_columns(io.BytesIO("\n".join(lines).encode()))]
    assert sum(sizes) < 2 * 6000 + 99 * 6000
    profiles, rejects = read("\n".join(lines))
    assert len(profiles[3000].alleles["TH01"]) == 99
    assert len(profiles) == 6000
    assert not rejects


# ---- Writing ----

names = st.sampled_from([where.name for where in LOCI if where.period == 4])
printable = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=3).filter(
    lambda text: text.upper() != "NULL"
)
texts = st.sampled_from(["6", "9.3", "9,2", "09", "*", "na", "<8", ">25", "o f", '"', "12;13", "=1+1", "é"])
profiles = st.builds(
    DnaProfile,
    id=printable.filter(bool),
    kind=st.sampled_from(KINDS),
    alleles=st.dictionaries(names, st.lists(texts, max_size=6).map(tuple), max_size=4),
    country=printable,
    agency=printable,
    kit=printable,
    single=st.sampled_from(SINGLES),
)


@settings(deadline=None)
@given(st.lists(st.lists(profiles, max_size=4), max_size=4), st.sampled_from([write_csv, write_json]))
def test_what_is_written_is_read_back(tmp_path_factory, batches, write):
    path = tmp_path_factory.mktemp("written") / "profiles"
    assert write(map(ProfileColumns.from_profiles, batches), path) == sum(map(len, batches))
    if any(batches):
        if write is write_csv and not any(profile.alleles for batch in batches for profile in batch):
            return  # a table needs a locus
        expected = [profile for batch in batches for profile in batch]
        assert gathered(read_columns(path, kind="missing", single="homozygous")) == (expected, [])
    assert os.listdir(path.parent) == ["profiles"]


@pytest.mark.parametrize("write", [write_csv, write_json])
def test_a_file_appears_when_it_is_complete_or_not_at_all(tmp_path, write):
    path = tmp_path / "profiles"
    path.write_text("what was there")

    def batches():
        yield ProfileColumns.from_profiles(LONG_PROFILES)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        write(batches(), path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("profiles", "what was there")]


def test_rejects_are_written_beside_the_file(tmp_path):
    file = tmp_path / "profiles.csv"
    content = b'id,TH01_1,TH01_2\na,6,7\nb,\xff,"9\n7"\nc,6,7\n'
    file.write_bytes(content)
    for _ in range(2):
        with Rejects(file) as rejects:
            for batch in read_columns(file):
                rejects.write([*batch.rejects, batch.reject(1, "id", "it is known")])
        with rejects.path.open(encoding="utf-8", errors="surrogateescape", newline="") as written:
            header, bad, known = csv.reader(written)
        assert header == ["line", "column", "reason", "row"]
        assert [*bad[:2], bad[3]] == ["3", "TH01_1", 'b,\udcff,"9\n7"']
        assert known == ["5", "id", "it is known", "c,6,7"]
    with Rejects(file):
        pass
    assert os.listdir(tmp_path) == ["profiles.csv"]


def test_several_threads_read_at_once(tmp_path):
    path = tmp_path / "profiles.csv"
    expected = LONG_PROFILES * 2000
    write_csv([ProfileColumns.from_profiles(expected)], path)
    with ThreadPoolExecutor(4) as pool:
        for profiles, _ in pool.map(lambda _: gathered(read_columns(path)), range(4)):
            assert profiles == expected


# ---- Files of other programs, where they are at hand ----


def shared_file(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"{name} is not in this checkout's ../shared/data/dna")
    return SHARED / name


def read_simply(path: Path, delimiter: str, name: str, cells) -> dict[str, dict[str, tuple[str, ...]]]:
    """Alleles of each sample by Python's csv module; `cells` makes (locus, texts) pairs of a row."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file, delimiter=delimiter):
            for marker, values in cells(row):
                if kept := tuple(value for value in values if value not in ("", "NULL")):
                    found.setdefault(row[name], {})[locus(marker).name] = kept
    return found


@pytest.mark.parametrize(
    ("name", "delimiter", "id", "count"),
    [
        ("ESX17_refs.csv", ",", "SampleName", 3),
        ("refs.csv", ",", "SampleName", 2),
        ("databaseESX17.txt", "\t", "Sample Name", 77),
        ("stain.txt", "\t", "Sample Name", 1),
    ],
)
def test_long_tables_of_other_programs(name, delimiter, id, count):
    path = shared_file(f"formats/{name}")
    expected = read_simply(
        path, delimiter, id, lambda row: [(row["Marker"], [row[key] for key in row if key.startswith("Allele")])]
    )
    assert len(expected) == count
    assert alleles(path.read_bytes()) == expected


def test_a_codis_style_table():
    path = shared_file("formats/database_codis_generated_44.csv")
    expected = read_simply(
        path,
        ",",
        "specimenId",
        lambda row: [(key[:-2], [row[f"{key[:-1]}{slot}"] for slot in "1234"]) for key in row if key.endswith("_1")],
    )
    assert len(expected) == 44
    assert alleles(path.read_bytes()) == expected


def test_the_genotypes_of_nist_1036():
    path = shared_file("nist1036_genotypes.csv")
    expected = read_simply(
        path,
        ",",
        "sample",
        lambda row: [(key[:-2], [row[key], row[f"{key[:-1]}2"]]) for key in row if key.endswith(".1")],
    )
    assert len(expected) == 1036
    assert alleles(path.read_bytes()) == expected


# ---- Damage ----

SEEDS = [
    b'id,kind,TH01_1,TH01_2,AMEL_1\r\na,person,6,9.3,X\r\n"b",,NULL,*,\r\n',
    LONG.encode(),
    "\n".join(map(json.dumps, OBJECTS)).encode(),
    json.dumps(OBJECTS[:2], indent=1).encode(),
]
SCRAPS = b'" , \n \r \t ; \0 \xff \xc3 { } [ ] : \\ 9.3 NULL _1 "" 1e9 null \\ud800 ,,, \xef\xbb\xbf \xff\xfe'.split(
    b" "
)
SCRAPS += [b"0" * 300, b"[" * 3000]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """`data` with a few bytes and pieces changed, put in, taken out, doubled or moved."""
    for _ in range(chance.randint(1, 4)):
        at, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        kind = chance.randrange(6)
        if kind == 0:
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + chance.choice(SCRAPS) + data[at:]
        elif kind == 2:
            data = data[:at] + data[min(end, at + 20) :]
        elif kind == 3:
            data = data[:end] + data[at:end] + data[end:]
        elif kind == 4:
            data = data[end:] + data[at:end] + data[:at]
        else:
            data = data[: max(at, 1)]
    return data


@pytest.mark.parametrize("part", range(4))
def test_damaged_files_raise_nothing_but_profile_errors(monkeypatch, part):
    """100,000 files in all. Every profile that is read is one, and every reject stands in the file."""
    monkeypatch.setattr(drafts, "PIECE", drafts.PIECE)
    logging.disable()
    read_whole = refused = 0
    for seed in range(25_000 * part, 25_000 * (part + 1)):
        chance = random.Random(seed)
        data = damaged(SEEDS[seed % 4], chance)
        drafts.PIECE = 8 if chance.random() < 0.1 else 1 << 20
        try:
            for batch in read_columns(io.BytesIO(data)):
                for row in range(len(batch.columns)):
                    batch.columns.profile(row)
                for reject in batch.rejects:
                    assert reject.row.encode("utf-8", "surrogateescape") in data
            read_whole += 1
        except ProfileError:
            refused += 1
    logging.disable(logging.NOTSET)
    assert read_whole > 1000
    assert refused > 1000
