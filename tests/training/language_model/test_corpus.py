"""Readers of every kind of shard, every way in which a shard can be wrong, and what the filters keep."""

import errno
import gzip
import json
import lzma
import os
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexframe.exceptions import DataError, InputError
from lexframe.training.language_model.corpus import (
    CorpusRules,
    NearDuplicates,
    clean_corpus,
    file_sha256,
    filter_documents,
    read_documents,
    read_json_lines,
    shingle_signature,
    symbol_share,
)
from tests.training.conftest import random_text

TWO = ["First document,\nof two lines, café.", "Second document."]
PLAIN = "\n\n" + "\n\n".join(TWO) + "\n"
LINES = "".join(json.dumps({"text": text, "other": 1}) + "\n\n" for text in TWO)


def write_shard(folder, name):
    path = folder / name
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.table({"text": TWO, "n": [1, 2]}), path)
        return path
    content = (LINES if ".jsonl" in name else PLAIN).encode()
    compress = {".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)
    path.write_bytes(compress(content))
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.v2.txt", "a.txt.xz", "a.jsonl", "a.jsonl.gz", "a.jsonl.xz", "a.parquet"])
def test_every_kind_of_shard_gives_the_same_documents(tmp_path, name):
    assert list(read_documents(write_shard(tmp_path, name))) == TWO


def test_a_folder_stands_for_the_corpus_in_it(tmp_path):
    write_shard(tmp_path, "corpus.parquet")
    assert list(read_documents(tmp_path)) == TWO


def test_an_empty_parquet_cell_is_an_empty_document(tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", None]}), tmp_path / "a.parquet")
    assert list(read_documents(tmp_path / "a.parquet")) == ["a", ""]


def test_an_escaped_character_is_one_character(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "good \\ud83d\\ude00"}\n')
    assert list(read_documents(tmp_path / "a.jsonl")) == ["good \N{GRINNING FACE}"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.csv.gz"])
def test_tables_of_other_kinds_are_shards_too(tmp_path, name):
    table = pd.DataFrame({"text": [text.replace("\n", " ") for text in TWO], "n": [1, 2]})
    if ".json" in name:
        table.to_json(tmp_path / name, orient="records")
    else:
        table.to_csv(tmp_path / name, sep="\t" if "tsv" in name else ",", index=False)
    assert list(read_documents(tmp_path / name)) == [text.replace("\n", " ") for text in TWO]


BAD = {
    "a.doc": (b"text\nx\n", "unknown kind"),
    "a.txt": (b"good line\n\xff\xfe bad\n", r"line 2: not UTF-8 \(byte 0xff\)"),
    "a.txt.xz": (lzma.compress(PLAIN.encode() * 50)[:-40], "cannot be read"),
    "b.txt.xz": (b"this is no xz", "cannot be read"),
    "a.jsonl": (b'{"text": "fine"}\n{"text": \n', "line 2: not JSON"),
    "b.jsonl": (b"[1, 2]\n", "line 1: list instead of an object"),
    "c.jsonl": (b'{"body": "x"}\n', "line 1: no field 'text'; there are 'body'"),
    "d.jsonl": (b'{"text": ["x"]}\n', "the field 'text'"),
    "g.jsonl": (b'{"text": "bad \\ud83d"}\n', "half of a surrogate pair"),
    "a.jsonl.gz": (gzip.compress(LINES.encode() * 50, mtime=0)[:-20], "cannot be read"),
    "b.jsonl.gz": (b"no gzip", "cannot be read"),
    "a.parquet": (b"PAR1 no parquet", "not a readable Parquet file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_shard_is_named_with_what_is_wrong(tmp_path, name):
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        list(read_documents(tmp_path / name))
    assert name in str(caught.value)


def test_a_gzip_with_flipped_bits(tmp_path):
    content = bytearray(gzip.compress(os.urandom(2000).hex().encode(), mtime=0))
    content[200:260] = bytes(60)
    (tmp_path / "a.jsonl.gz").write_bytes(bytes(content))
    with pytest.raises(DataError):
        list(read_documents(tmp_path / "a.jsonl.gz"))


def test_a_missing_shard(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        list(read_documents(tmp_path / "a.txt"))
    with pytest.raises(DataError, match="no such file"):
        list(read_json_lines(tmp_path / "a.jsonl"))


def test_parquet_columns_are_checked(tmp_path):
    path = write_shard(tmp_path, "a.parquet")
    with pytest.raises(DataError, match="no field 'body'; there are 'text', 'n'"):
        list(read_documents(path, text_column="body"))


def test_symbol_share():
    assert symbol_share("") == 0
    assert symbol_share("ab c") == 0
    assert symbol_share("a#b!") == 0.5


def test_filters_drop_each_kind_and_keep_the_first(rng):
    long, other = random_text(rng, 300), random_text(rng, 300)
    texts = [long, "too short", "{};" * 200 + random_text(rng, 30), long.upper().replace(" ", "\n"), long + " one more word", other]
    dropped = Counter()
    assert list(filter_documents(texts, CorpusRules(), dropped)) == [long, other]
    assert dropped == {"too short": 1, "symbol-heavy": 1, "exact duplicate": 1, "near duplicate": 1}


def test_the_near_duplicate_check_can_be_turned_off(rng):
    long = random_text(rng, 300)
    texts = [long, long + " one more word"]
    assert list(filter_documents(texts, CorpusRules(near_duplicate_similarity=1.1), Counter())) == texts


def exact_jaccard(one, other):
    shingles = [{tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in (one.split(), other.split())]
    return len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])


@pytest.mark.parametrize("n_changed", [0, 10, 40, 120, 600])
def test_estimated_similarity_is_the_exact_jaccard_similarity(rng, n_changed):
    words = [f"w{number}" for number in rng.permutation(3000)[:1500]]
    changed = list(words)
    for position in rng.choice(1500, size=n_changed, replace=False):
        changed[position] = f"x{position}"
    one, other = " ".join(words), " ".join(changed)
    agreement = np.mean(shingle_signature(one, n_bins=512) == shingle_signature(other, n_bins=512))
    assert agreement == pytest.approx(exact_jaccard(one, other), abs=0.08)  # 3.5 standard errors at 512 bins


def test_planted_near_duplicates_are_found_and_unrelated_texts_kept(rng):
    originals = [random_text(rng, 400) for _ in range(100)]
    near = NearDuplicates()
    assert not any(near.seen(text) for text in originals)
    assert all(near.seen(text.replace(" river ", " stream ", 3) + " the end") for text in originals)
    assert not any(near.seen(random_text(rng, 400)) for _ in range(100))


def test_bins_that_a_short_text_leaves_empty_do_not_count_as_agreement():
    one, other = (shingle_signature(" ".join(f"{letter}{number}" for number in range(30))) for letter in "xy")
    assert np.mean(one == other) == 0


def test_short_texts_have_no_signature():
    assert shingle_signature("a few words only") is None
    assert not NearDuplicates().seen("a few words only")


@given(st.lists(st.sampled_from(["River", "café", "two", "OLD", "x9"]), min_size=21, max_size=60))
def test_signatures_ignore_case_and_punctuation(words):
    one, other = shingle_signature(" ".join(words)), shingle_signature(", ".join(words).upper())
    assert np.array_equal(one, other)


def test_clean_corpus_writes_text_and_report(tmp_path, rng):
    texts = [random_text(rng, 100) for _ in range(5)]
    (tmp_path / "a.txt").write_text("\n\n".join([*texts, texts[0]]), encoding="utf-8")
    report = clean_corpus([tmp_path / "a.txt"], tmp_path / "out")
    assert list(read_documents(tmp_path / "out")) == texts
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report.to_dict()
    assert (report.n_read, report.n_kept, report.dropped) == (6, 5, {"exact duplicate": 1})
    assert report.bytes_kept == sum(len(text.encode()) for text in texts)
    assert report.sources == {"a.txt": file_sha256(tmp_path / "a.txt")}
    assert clean_corpus([tmp_path / "a.txt"], tmp_path / "again").sha256 == report.sha256


def test_two_shards_of_one_name_are_both_reported(tmp_path, rng):
    paths = [tmp_path / name / "a.txt" for name in "xy"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(random_text(rng, 100))
    assert list(clean_corpus(paths, tmp_path).sources) == [str(path) for path in paths]


def test_a_corpus_of_which_nothing_is_left(tmp_path):
    (tmp_path / "a.txt").write_text("too short")
    with pytest.raises(DataError, match=r"No document is left of 1 read: {'too short': 1}"):
        clean_corpus([tmp_path / "a.txt"], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_keeps_the_earlier_corpus(tmp_path, rng, monkeypatch):
    (tmp_path / "a.txt").write_text(random_text(rng, 100))
    clean_corpus([tmp_path / "a.txt"], tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (tmp_path / "a.txt").write_text(random_text(rng, 100))

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pyarrow.parquet.ParquetWriter, "write_table", full)
    with pytest.raises(InputError, match=r"corpus\.parquet cannot be written: No space left"):
        clean_corpus([tmp_path / "a.txt"], tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
