"""Cards of models say what a list of models shows."""

import pytest

from lexframe.exceptions import ModelError
from lexframe.spaces.model_cards import read_card, shipped_models

CARD = "# A model\n\nIt reads `tea leaves`\nand more. It is weak.\n\n| | |\n| --- | --- |\n| licence | MIT-0; see below |\n"


def test_a_card_is_read(tmp_path):
    (tmp_path / "README.md").write_text(CARD)
    (tmp_path / "model.safetensors").write_bytes(bytes(1_500_000))
    card = read_card(tmp_path)
    assert (card.name, card.use, card.megabytes, card.licence) == (tmp_path.name, "It reads tea leaves and more.", 1.5, "MIT-0")


@pytest.mark.parametrize("gone", ["# A model\n", "| licence | MIT-0; see below |"])
def test_a_card_that_does_not_say_it_is_refused(tmp_path, gone):
    (tmp_path / "README.md").write_text(CARD.replace(gone, ""))
    with pytest.raises(ModelError, match="does not say"):
        read_card(tmp_path)


def test_every_model_that_ships_has_one():
    assert [card.name for card in shipped_models()] == ["embedded", "embedded-vae"]
