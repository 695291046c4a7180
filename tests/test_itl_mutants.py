"""Hostile bytes: nothing but RecordError, no memory beyond the file's size, no byte lost."""

import tracemalloc
from pathlib import Path

import pytest
from itl_cases import ALL, RS, US, binary, european, header, latent, m1_record, std_record, tagged
from itl_mutants import LENGTHS, exercise, mutants

from pcc_match import itl

CORPUS = sorted(p for p in (Path(__file__).parent / "fuzz_corpus").glob("itl_*") if p.is_file())
SMALL = [
    header([(2, "00")]) + tagged(2, "002:00", "030:a"),
    header([(4, "1"), (2, "0")]) + binary() + tagged(2, "002:0"),
    header([(9, "1")]) + m1_record(2, "1"),
    header([(9, "1")]) + std_record(2, "1"),
    header([(13, "1"), (2, "0")]) + latent("1") + tagged(2, "002:0", "030:a"),
    header([(2, "0")], f"015:2{US}UTF-16") + tagged(2, "002:0", b"030:" + "Žižka".encode("utf-16-be")),
    european(),
]


@pytest.mark.parametrize("part", range(4))
def test_a_hundred_thousand_mutants_raise_nothing_but_record_errors(part):
    refused = 0
    for data in mutants(SMALL, 25_000, seed=part):
        try:
            transaction = itl.read(data)
        except itl.RecordError:
            refused += 1
            continue
        assert bytes(transaction) == data
        _ = transaction.problems
    assert refused < 5_000


def test_mutants_survive_everything_that_a_node_does_with_them():
    for number, data in enumerate(mutants([make() for make in ALL.values()], 1_000, seed=9)):
        transaction = exercise(data)
        if transaction is not None and number % 5 == 0:
            transaction.check(("pruem", "sis", None)[number % 3])
        if transaction is None or transaction.problems:
            with pytest.raises(itl.RecordError) as caught:
                itl.read(data, strict=True)
            first = caught.value if transaction is None else transaction.problems[0]
            assert (caught.value.path, caught.value.offset) == (first.path, first.offset)
        else:
            assert bytes(itl.read(data, strict=True)) == data


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_fuzzing_once_found(path):
    exercise(path.read_bytes())


@pytest.mark.parametrize("length", LENGTHS)
def test_no_length_field_allocates_memory(length):
    filler = bytes(1 << 20)
    cases = (
        header([(4, "1"), (4, "2")]) + binary(data=filler, length=length & 0xFFFFFFFF) + binary(idc=2),
        header([(14, "1")]) + tagged(14, "002:1", b"999:" + filler, length=str(length)),
        header([(4, "1")], f003=f"1{US}{length}{RS}4{US}1") + binary(data=filler, size=(65535, 65535)),
        header([(13, "1")]) + latent("1", filler).replace(b"13.006:4", b"13.006:999999999"),
    )
    for data in cases:
        tracemalloc.start()
        transaction = itl.read(data)
        _ = transaction.problems
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2.5 * len(data)
        assert bytes(transaction) == data


# Each would run for minutes if any step were quadratic in the size of the file.
@pytest.mark.parametrize(
    "data",
    [
        header([], f003=f"1{US}200000" + f"{RS}4{US}1" * 200_000),
        header([], f003=f"1{US}200000" + f"{RS}14{US}1" * 200_000) + b"\x1c" * 100_000,
        header([(4, "1")] * 20_000) + binary(length=0, compression=1) * 20_000,
        header([(2, "1")] * 20_000) + tagged(2, "002:1", length="7") * 20_000,
        header([(14, "1")] * 10_000) + tagged(14, "002:1", b"999:x", length="9999999") * 10_000,
        header([(14, "1"), (15, "1")] * 5_000) + tagged(14, "002:1", b"999:x", length="9999999") * 10_000,
        header([(99, "1")] * 20_000) + b"\x1c23.001:9\x1d" * 20_000,
        header([(2, "1")]) + tagged(2, "002:1", *["30:x"] * 100_000),
        header([(9, "1")]) + tagged(9, "002:1", "137:" + RS.join(["1" + US * 20] * 20_000)),
        header([(9, "1")]) + tagged(9, "002:1", "012:" + "1" * 200_000 + (US + "2,1") * 100_000),
        header([(2, "1")], "015:2") + tagged(2, "002:1", b"030:" + b"\x1f\x1e" * 200_000),
        b"1.00" * 200_000 + b" " + header([]),
        b"0" * 200_000 + b"1.001:" + b"9" * 200_000,
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_reading_takes_time_in_proportion_to_the_file(data):
    exercise(data)


def test_real_transactions_survive_damage():
    from shared_data import shared

    folder = shared("data/itl")
    if folder is None:
        pytest.skip("the shared test data are not here")
    names = ("nist_reference/type-9-14-m1.an2", "libbiomeval/type9-efs.an2k", "nist_reference/type-4-14-slaps.an2")
    for data in mutants([(folder / name).read_bytes() for name in names], 150, seed=3):
        exercise(data)
