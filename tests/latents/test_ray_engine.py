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
from lexframe.latents import LatentStore, Workers, encode_to_store, text_blocks

JOB = """
import os, sys, time
import numpy as np
from lexframe.latents import Workers, encode_to_store, text_blocks
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
    space, text_blocks(texts, block_rows=10, metadata={{"n": list(range(160))}}), {store!r}, workers=Workers({n_workers}, {engine!r}),
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
        encode_to_store(space, text_blocks(texts), tmp_path / "s", workers=Workers(engine="ray"))


DYING = """
import os, signal
import numpy as np
from lexframe.latents import Workers, encode_to_store, text_blocks
from lexframe.spaces import ToySpace

class Dying(ToySpace):
    def encode(self, texts, **options):
        try:
            os.close(os.open({marker!r}, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return super().encode(texts, **options)
        os.kill(os.getpid(), signal.SIGKILL)

rng = np.random.default_rng(3)
words = [f"w{{n}}" for n in range(40)]
vectors = {{word: rng.normal(size=6).tolist() for word in words}}
texts = [" ".join(rng.choice(words, size=rng.integers(1, 9))) for _ in range(60)]

def encode(space, n, store, **options):
    return encode_to_store(space, text_blocks(texts[:n], block_rows=10, metadata={{"n": list(range(n))}}), store, **options)

encode(ToySpace(vectors), 60, {local!r})
Dying.__name__ = "ToySpace"
encode(ToySpace(vectors), 20, {store!r})
done = encode(Dying(vectors), 60, {store!r}, workers=Workers(2, "ray"))
print("done", done.n_encoded, done.n_kept, flush=True)
"""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_run_goes_on_with_a_worker_that_dies_and_the_rows_are_those_of_a_local_run(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (the extra 'ray')")
    store, local, marker = (str(tmp_path / name) for name in ("ray", "local", "died"))
    code = DYING.format(store=store, local=local, marker=marker)
    found = subprocess.run([sys.executable, "-c", code], env={**os.environ, "RAY_worker_niceness": "0"}, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert Path(marker).exists()
    assert "done 40 20" in found.stdout.splitlines()
    assert_same(store, local, 60)


def assert_same(store, local, n):
    found, expected = LatentStore(store), LatentStore(local)
    assert found.dataset.to_table().equals(expected.dataset.to_table())
    assert found.verify().holds
    assert not Path(f"{store}.texts").exists()
    np.testing.assert_array_equal(found.query()["n"], np.arange(n))


@pytest.mark.long
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
    assert_same(tmp_path / "ray", tmp_path / "local", 160)
