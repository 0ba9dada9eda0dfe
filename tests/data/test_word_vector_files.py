"""Word vector files of every kind: against gensim, there and back, and everything that can be wrong with one."""

import gzip
import tracemalloc

import numpy as np
import pytest

from lexframe.data import WordVectors, read_word_vectors, write_word_vectors
from lexframe.exceptions import DataError, InputError

WORDS = ("the", "naïve", "☕", "new_york", "42")
VECTORS = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
TEXT = "".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in zip(WORDS, VECTORS, strict=True))


def binary(words=WORDS, vectors=VECTORS, line_feed=b"\n"):
    head = f"{len(words)} {vectors.shape[1]}\n".encode()
    return head + b"".join(word.encode() + b" " + row.tobytes() + line_feed for word, row in zip(words, vectors, strict=True))


CONTENTS = {
    "glove.txt": TEXT.encode(),
    "fasttext.vec": f"5 7\n{TEXT}".encode(),
    "packed.txt.gz": gzip.compress(f"5 7\n{TEXT}".encode(), mtime=0),
    "trailing.vec": f"5 7\n{TEXT}\n".replace("\n", " \r\n").encode(),
    "tabs.txt": TEXT.replace(" ", "\t").encode(),
    "google.bin": binary(),
    "gensim.bin": binary(line_feed=b""),
    "packed.bin.gz": gzip.compress(binary(), mtime=0),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_every_format(name, tmp_path):
    (tmp_path / name).write_bytes(CONTENTS[name])
    found = read_word_vectors(tmp_path / name)
    assert found.words == WORDS
    np.testing.assert_array_equal(found.vectors, VECTORS)
    assert found.vectors.dtype == np.float32
    assert found.source.endswith(name)
    assert read_word_vectors(tmp_path / name, limit=2).words == WORDS[:2]
    assert read_word_vectors(tmp_path / name, limit=99).words == WORDS
    part = read_word_vectors(str(tmp_path / name), words={"42", "☕", "x"})
    assert part.words == ("☕", "42")
    np.testing.assert_array_equal(part.vectors, VECTORS[[2, 4]])


@pytest.mark.parametrize("binary_format", [True, False])
def test_files_that_gensim_wrote(binary_format, tmp_path):
    models = pytest.importorskip("gensim.models", reason="gensim is part of the test extra")
    theirs = models.KeyedVectors(vector_size=7)
    theirs.add_vectors(list(WORDS), VECTORS)
    path = tmp_path / ("v.bin" if binary_format else "v.txt")
    theirs.save_word2vec_format(str(path), binary=binary_format)
    found = read_word_vectors(path)
    assert found.words == WORDS
    np.testing.assert_allclose(found.vectors, VECTORS, atol=1e-6)
    written = write_word_vectors(found, tmp_path / "back.vec")
    np.testing.assert_array_equal(models.KeyedVectors.load_word2vec_format(str(written)).vectors, found.vectors)


@pytest.mark.parametrize("name", ["v.vec", "v.txt.gz"])
def test_there_and_back(name, tmp_path):
    vectors = WordVectors(WORDS, VECTORS * np.float32(1e-20))
    found = read_word_vectors(write_word_vectors(vectors, tmp_path / name))
    assert found.words == WORDS
    np.testing.assert_array_equal(found.vectors, vectors.vectors)
    for word in ("", " york", "new  york", "new\tyork", "new\nyork", "new\u2028york"):
        with pytest.raises(InputError, match="cannot be written into a text file of word vectors"):
            write_word_vectors(WordVectors((word,), VECTORS[:1]), tmp_path / "x.vec")
    assert not (tmp_path / "x.vec").exists()


def test_words_with_blanks_are_written_as_they_are_or_with_another_sign(tmp_path):
    models = pytest.importorskip("gensim.models")
    vectors = WordVectors(("new york", ". . .", "2008"), VECTORS[:3])
    assert read_word_vectors(write_word_vectors(vectors, tmp_path / "a.vec")).words == vectors.words
    joined = write_word_vectors(vectors, tmp_path / "b.vec", blanks="_")
    assert read_word_vectors(joined).words == ("new_york", "._._.", "2008")
    assert list(models.KeyedVectors.load_word2vec_format(str(joined)).key_to_index) == ["new_york", "._._.", "2008"]
    with pytest.raises(InputError, match="'new york' and 'new_york' would both be written 'new_york'"):
        write_word_vectors(WordVectors(("new york", "new_york"), VECTORS[:2]), tmp_path / "c.vec", blanks="_")


def test_lines_that_begin_with_blanks_and_words_like_numbers(tmp_path):
    (tmp_path / "v.txt").write_text("  the 1 2\n\t a  3\t4\n  9 9\n2008 5 6\nno\u00a0break 7 8\n")
    found = read_word_vectors(tmp_path / "v.txt")
    assert found.words == ("the", "a", "2008", "no\u00a0break")
    np.testing.assert_array_equal(found.vectors, [[1, 2], [3, 4], [5, 6], [7, 8]])
    assert found.provenance.parameters["n_without_word"] == 1


@pytest.mark.parametrize("first", ["new york", ". . .", "2008", "apollo 11"])
def test_dimensions_are_what_most_lines_agree_on(first, tmp_path):
    """Without a first line that says so; `apollo 11` would be three numbers behind a word, were it not for the others."""
    (tmp_path / "v.txt").write_text(f"{first} 1 2\nb 3 4\nc d 5 6\n")
    found = read_word_vectors(tmp_path / "v.txt")
    assert found.words == (first, "b", "c d")
    np.testing.assert_array_equal(found.vectors, [[1, 2], [3, 4], [5, 6]])


def test_words_with_blanks_and_words_that_stand_twice(tmp_path):
    (tmp_path / "v.txt").write_text("a 1 2\n. . . 3 4\na 5 6\n")
    found = read_word_vectors(tmp_path / "v.txt")
    assert found.words == ("a", ". . .")
    np.testing.assert_array_equal(found.vectors, [[1, 2], [3, 4]])
    assert found.provenance.parameters["n_repeated_words"] == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", b"", "holds no vector"),
        ("v.txt", b"word\n", "line 1: 'word' is no word with numbers"),
        ("v.txt", b"a 1 2\nb 3\n", "line 2: 1 numbers behind the word, expected 2"),
        ("v.txt", b"a 1 2\nb x 3\n", "line 2: 'x' is no number; expected 2 numbers"),
        ("v.txt", b"a 1 2\nb 1 2 3\n\nc 1\n", "line 4: 1 numbers"),
        ("v.txt", b"a 1 2\nb nan 3\n", "line 2: the vector of 'b' holds NaN"),
        ("v.txt", b"a 1 2\nb inf 3\n", "line 2: the vector of 'b' holds NaN or infinity"),
        ("v.vec", b"3 2\na 1 2\nb 3 4\n", "first line says 3 words, but there are 2"),
        ("v.vec", b"1 2\na 1 2\nb 3 4\n", "first line says 1 words, but there are 2"),
        ("v.vec", b"1 3\na 1 2\n", "line 2: 2 numbers behind the word, expected 3"),
        ("v.txt", b"a 1 2\n\xff 3 4\n", "line 2: not UTF-8"),
        ("v.txt.gz", gzip.compress(TEXT.encode(), mtime=0)[:40], "cannot be read"),
        ("v.txt.gz", b"no gzip", "cannot be read"),
        ("v.bin", b"", "does not begin with the numbers"),
        ("v.bin", b"5 0\n", "does not begin with the numbers"),
        ("v.bin", TEXT.encode(), "does not begin with the numbers"),
        ("v.bin", binary()[:-9], "word 5 of 5: the file ends within the vector"),
        ("v.bin", b"2 1\na 1234", "word 2 of 2: the file ends before the word"),
        ("v.bin", b"1 1\n\xff 1234", "word 1 of 1: the word is not UTF-8"),
        ("v.bin", b"1 1\n 1234", "word 1 of 1: no word where one should be"),
        ("v.bin", b"1 1\n" + b"a" * 9000, "no word where one should be"),
        ("v.bin", b"1 1\na " + np.float32(np.nan).tobytes(), "vector of 'a' holds NaN"),
        ("v.bin.gz", gzip.compress(binary(), mtime=0)[:60], "cannot be read"),
    ],
)
def test_what_is_wrong(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_word_vectors(tmp_path / name)


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere.vec"):
        with pytest.raises(DataError, match="no such file"):
            read_word_vectors(path)
    (tmp_path / "v.txt").write_text(TEXT)
    with pytest.raises(DataError, match="holds no vector of the words asked for"):
        read_word_vectors(tmp_path / "v.txt", words=["zebra"])


def test_a_long_file_is_read_in_its_own_size(tmp_path):
    path = tmp_path / "v.vec"
    row = " ".join(["0.125"] * 50)
    path.write_text(f"10000 50\n{''.join(f'w{i} {row}' + chr(10) for i in range(10_000))}")
    tracemalloc.start()
    found = read_word_vectors(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 10_000
    assert peak < 4 * found.vectors.nbytes
