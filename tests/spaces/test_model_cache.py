"""Models of GGUF files are read once and kept, whole or not at all."""

import errno
import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lexframe.exceptions import InputError, MissingExtraError, ModelError
from lexframe.spaces import model_cache
from lexframe.spaces.gguf import conversion, opening
from lexframe.spaces.gguf.opening import file_hash, from_gguf
from lexframe.spaces.gguf.origin import ORIGIN
from lexframe.spaces.model_cache import cache_folder, clean, kept_models
from tests.gguf_files import write


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEXFRAME_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def held(cache):
    """Everything in the cache but locks."""
    return sorted(str(each.relative_to(cache)) for each in cache.rglob("*") if each.suffix != ".lock" and each != cache / "gguf")


def test_a_file_is_read_once(cache, tmp_path, monkeypatch):
    path = write(tmp_path / "a.gguf")
    folder = from_gguf(path)
    assert folder.parent == cache / "gguf"
    assert file_hash(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert folder.name.startswith(file_hash(path))
    monkeypatch.setattr(opening, "convert", lambda *_: pytest.fail("read again"))
    assert from_gguf(path) == folder
    moved = tmp_path / "elsewhere.GGUF"
    path.rename(moved)
    assert from_gguf(moved) == folder  # it is the content that counts
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert from_gguf(moved) == folder  # and no package is needed any more


def test_a_file_that_has_changed_is_another(cache, tmp_path):
    first = from_gguf(write(tmp_path / "a.gguf"))
    second = from_gguf(write(tmp_path / "a.gguf", "llama-tied"))
    assert first != second
    assert len(kept_models()) == 2


def test_without_the_package_nothing_is_made(cache, tmp_path, monkeypatch):
    path = write(tmp_path / "a.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtraError, match=r"lexframe\[gguf\]"):
        from_gguf(path)
    assert not cache.exists()


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["model", "tokenizer", "origin"])
def test_a_full_disk_leaves_nothing_half_written(cache, tmp_path, monkeypatch, where):
    path = write(tmp_path / "a.gguf")
    with monkeypatch.context() as patch:
        if where == "origin":
            patch.setattr(conversion, "json_text", full_disk)
        else:
            own = getattr(conversion, f"read_{where}")

            def breaking(header):
                found = own(header)
                patch.setattr(type(found), "save_pretrained", full_disk)
                return found

            patch.setattr(conversion, f"read_{where}", breaking)
        with pytest.raises(InputError, match=r"cannot be written: No space left.*LEXFRAME_CACHE") as raised:
            from_gguf(path)
        assert "\n" not in str(raised.value)
    assert held(cache) == []
    assert from_gguf(path).is_dir()


def test_a_cache_that_cannot_be_made_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LEXFRAME_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(InputError, match=r"cannot be written.*LEXFRAME_CACHE"):
        from_gguf(write(tmp_path / "a.gguf"))


def test_what_cannot_be_read_leaves_nothing(cache, tmp_path):
    path = write(tmp_path / "a.gguf", change={"tokenizer.ggml.pre": "of-tomorrow"})
    with pytest.raises(ModelError, match="of-tomorrow"):
        from_gguf(path)
    assert held(cache) == []


def test_two_that_want_the_same_file_make_it_once(cache, tmp_path, monkeypatch):
    """Both begin before either is done; one converts, the other waits and finds it. The lock is the system's, of processes and threads."""
    path, calls, own = write(tmp_path / "a.gguf"), [], opening.convert

    def slow(*given):
        calls.append(time.time())
        time.sleep(0.5)
        return own(*given)

    monkeypatch.setattr(opening, "convert", slow)
    with ThreadPoolExecutor(2) as pool:
        first, second = (each.result() for each in [pool.submit(from_gguf, path) for _ in range(2)])
    assert first == second
    assert len(calls) == 1
    assert len(kept_models()) == 1


def test_what_a_killed_process_has_left_is_replaced(cache, tmp_path):
    path = write(tmp_path / "a.gguf")
    folder = from_gguf(path)
    left = folder.with_name(f".{folder.name}.part")
    folder.rename(left)
    (left / "model.safetensors").write_bytes(b"half")
    assert kept_models() == []
    assert from_gguf(path) == folder
    assert not left.exists()


def make_old(model, seconds):
    then = time.time() - seconds
    os.utime(model.folder / ORIGIN, (then, then))


def test_the_longest_unused_go_first_and_never_one_in_use(cache, tmp_path, monkeypatch):
    for number, family in enumerate(["llama", "llama-tied", "qwen2"]):
        from_gguf(write(tmp_path / f"{number}.gguf", family, rule="smollm"))
    models = {each.origin.file: each for each in kept_models()}
    make_old(models["0.gguf"], 5000)
    make_old(models["1.gguf"], 9000)
    from_gguf(tmp_path / "1.gguf")  # used again
    assert [each.origin.file for each in kept_models()][-1] == "0.gguf"
    total = sum(each.n_bytes for each in models.values())
    assert clean(total) == []
    assert [each.origin.file for each in clean(total - 1)] == ["0.gguf"]
    assert clean(1) == []  # the others were used just now
    make_old(models["1.gguf"], 9000)
    monkeypatch.setattr(model_cache, "MOST_BYTES", 1)
    kept = from_gguf(write(tmp_path / "3.gguf", kind="Q8_0"))
    assert {each.origin.file for each in kept_models()} == {"2.gguf", "3.gguf"}
    assert kept.is_dir()
    assert {each.origin.file for each in clean()} == {"2.gguf", "3.gguf"}
    assert kept_models() == []


def test_everything_that_was_left_goes(cache, tmp_path):
    from_gguf(write(tmp_path / "a.gguf"))
    (cache / "gguf" / f".{'0' * 64}-2.part").mkdir()
    clean()
    assert held(cache) == []
    assert clean() == []


def test_the_folder_is_that_of_the_system_unless_another_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("LEXFRAME_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_folder() == tmp_path / ".cache" / "lexframe"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "lexframe"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "lexframe"
    monkeypatch.setenv("LEXFRAME_CACHE", "~/models")
    assert cache_folder() == tmp_path / "models"
