"""A store keeps the space that was fitted on its texts, and later texts are encoded by it."""

import numpy as np
import pytest

from lexframe.exceptions import FingerprintMismatch, InputError
from lexframe.latents import LatentStore, encode_to_store
from lexframe.latents.files import FITTED_SPACE
from lexframe.latents.fitted_spaces import space_of_store
from lexframe.spaces import LexicalSpace, ToySpace, open_space

TEXTS = ["the parcel is late", "a refund please", "where is my parcel", "refund my money"]


def test_later_texts_are_encoded_by_the_space_of_the_first(tmp_path):
    store = tmp_path / "store"
    encode_to_store("tfidf", TEXTS, store)
    kept = open_space(str(store / FITTED_SPACE))
    np.testing.assert_array_equal(LatentStore(store).points(), kept.encode(TEXTS))
    result = encode_to_store("tfidf", [*TEXTS, "another parcel"], store)
    assert (result.n_encoded, result.n_kept) == (1, 4)
    np.testing.assert_array_equal(LatentStore(store).points()[-1:], kept.encode(["another parcel"]))


def test_a_run_that_was_stopped_before_the_store_goes_on(tmp_path):
    space_of_store(LexicalSpace(), tmp_path / "store", TEXTS)
    encode_to_store("tfidf", TEXTS, tmp_path / "store")
    assert len(LatentStore(tmp_path / "store")) == 4


def test_a_store_of_another_space_is_left_alone(tmp_path):
    encode_to_store(ToySpace({"parcel": [1.0, 0.0]}), TEXTS, tmp_path / "store")
    with pytest.raises(FingerprintMismatch):
        encode_to_store("tfidf", TEXTS, tmp_path / "store")
    assert not (tmp_path / "store" / FITTED_SPACE).exists()


def test_spaces_that_need_no_fitting_pass():
    toy, fitted = ToySpace({"parcel": [1.0, 0.0]}), LexicalSpace().fitted_on(TEXTS)
    assert space_of_store(toy, "anywhere", TEXTS) is toy
    assert space_of_store(fitted, "anywhere", TEXTS) is fitted
    with pytest.raises(InputError, match="no local folder"):
        space_of_store(LexicalSpace(), "s3://bucket/latents", TEXTS)
