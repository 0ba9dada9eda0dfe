"""The same rows from a Ray cluster of this machine, with workers and driver killed."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lexframe.exceptions import MissingExtraError
from lexframe.latents import LatentStore, encode_to_store, text_blocks

JOB = """
import os, sys, time
import numpy as np
from lexframe.latents import encode_to_store, text_blocks
from lexframe.spaces import ToySpace

class Slow(ToySpace):
    def encode(self, texts, **options):
        open(os.path.join({folder!r}, f"worker-{{os.getpid()}}"), "w").close()
        time.sleep(0.3)
        return super().encode(texts, **options)

rng = np.random.default_rng(3)
words = [f"w{{n}}" for n in range(40)]
space = Slow({{word: rng.normal(size=6).tolist() for word in words}})
texts = [" ".join(rng.choice(words, size=rng.integers(1, 9))) for _ in range(160)]
done = encode_to_store(
    space, text_blocks(texts, block_rows=10, metadata={{"n": list(range(160))}}), {store!r}, engine={engine!r}, n_workers={n_workers},
    progress=lambda done: print(done.n_encoded, flush=True),
)
print("done", done.n_encoded, done.n_kept, flush=True)
"""


def start(folder, store, engine="ray"):
    code = JOB.format(folder=str(folder), store=str(store), engine=engine, n_workers=2 if engine == "ray" else 0)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "RAY_worker_niceness": "0"}, **options)


def workers(folder):
    return [int(path.name.removeprefix("worker-")) for path in Path(folder).glob("worker-*")]


def test_without_ray_the_extra_is_named(space, texts, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"lexframe\[ray\]"):
        encode_to_store(space, text_blocks(texts), tmp_path / "s", engine="ray")


@pytest.mark.timeout(600)
def test_workers_and_driver_are_killed_and_the_rows_are_those_of_a_local_run(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (the extra 'ray')")
    local = start(tmp_path, tmp_path / "local", "local")
    out, err = local.communicate(timeout=100)
    assert local.returncode == 0, err
    for path in tmp_path.glob("worker-*"):
        path.unlink()

    driver = start(tmp_path, tmp_path / "ray")
    assert driver.stdout is not None
    for line in driver.stdout:  # the first blocks are committed
        assert int(line) > 0
        break
    driver.kill()
    out, err = driver.communicate(timeout=200)
    kept = len(LatentStore(tmp_path / "ray"))
    assert 10 <= kept < 160
    for pid in workers(tmp_path):  # Ray's own processes notice that the driver is gone; these need not wait
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for path in tmp_path.glob("worker-*"):
        path.unlink()

    again = start(tmp_path, tmp_path / "ray")
    killed = []

    def kill_a_worker():
        while again.poll() is None and not killed:
            for pid in workers(tmp_path):
                try:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    return
                except ProcessLookupError:
                    pass
            time.sleep(0.05)

    thread = threading.Thread(target=kill_a_worker)
    thread.start()
    out, err = again.communicate(timeout=400)
    thread.join()
    assert again.returncode == 0, err
    assert killed
    assert f"done {160 - kept} {kept}" in out.splitlines()
    found, expected = LatentStore(tmp_path / "ray"), LatentStore(tmp_path / "local")
    assert found.dataset.to_table().equals(expected.dataset.to_table())
    assert found.verify().holds
    assert not Path(f"{tmp_path / 'ray'}.texts").exists()
    np.testing.assert_array_equal(found.query()["n"], np.arange(160))
