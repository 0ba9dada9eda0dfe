"""The memory that gradients take, and the refusal where there is less."""

import pytest

from lexframe.exceptions import InputError
from lexframe.task_space import memory
from lexframe.task_space.memory import GIB, check_memory, free_gib, needed_gib


def needed(**changes):
    given = {"n_parameters": 10**9, "n_processes": 1, "n_vocab": 50_000, "n_tokens": 2048, "n_kept": 10**8, "with_corpus": False}
    return needed_gib(**(given | changes))


def test_what_is_needed_by_hand():
    weights, logits = 4 * 10**9, 4 * 50_000 * 2048
    of_process = 1.5 * weights + 10**9 + 3 * logits
    kept = 2 * 4 * 10**8
    assert needed() == pytest.approx((of_process + weights + kept) / GIB)
    assert needed(n_processes=3) - needed() == pytest.approx(2 * of_process / GIB)
    assert needed(with_corpus=True) - needed() == pytest.approx(2 * weights / GIB)


def test_a_refusal_says_how_much_and_what_to_do():
    check_memory(3.0, 3.0, n_processes=1)
    with pytest.raises(InputError, match=r"need about 3\.5 GiB, and 3\.0 GiB are allowed\. Use a smaller model, or a machine") as refused:
        check_memory(3.5, 3.0, n_processes=1)
    assert refused.value.parameters == ("max_gib",)
    with pytest.raises(InputError, match="Use fewer processes than 4, a smaller model"):
        check_memory(3.5, 3.0, n_processes=4)


def test_what_is_free_is_what_the_system_says(tmp_path, monkeypatch):
    listed = tmp_path / "meminfo"
    listed.write_text("MemTotal:       16384000 kB\nMemAvailable:    2097152 kB\n\n")
    monkeypatch.setattr(memory, "_MEMINFO", listed)
    assert free_gib() == 2.0
    with pytest.raises(InputError, match=r"and 2\.0 GiB are free"):
        check_memory(2.5, None, n_processes=1)
    listed.write_text("MemTotal: 1 kB\n")
    assert free_gib() is None
    check_memory(10.0**9, None, n_processes=1)  # nobody knows
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "absent")
    assert free_gib() is None
