"""Which part of a model each tensor is of, by the names that families give."""

import pytest

from lexframe.task_space.gradients import trained_parameters
from lexframe.task_space.layout import Layout
from tests.spaces.language_model.test_sequence_network import hiding_space
from tests.tiny_models import MASKED, tiny_space

BLOCKS = ("block 0", "block 1", "block 2")


def layout_of(family):
    space = hiding_space(family) if family in MASKED else tiny_space(family)
    sizes = {name: each.numel() for name, each in trained_parameters(space.sequence_network()).items()}
    return Layout(sizes, 1000, 5)


@pytest.mark.parametrize("family", ["gpt2", "llama", "llama_tied", "mixtral", "opt", "bert"])
def test_parts_are_embedding_blocks_and_head(family):
    layout = layout_of(family)
    parts = dict(zip(layout.sizes, layout.part_of, strict=True))
    named = [part for name, part in parts.items() if "embed" in name or "wte" in name or "wpe" in name]
    assert set(named) == {"embedding"}
    assert set(layout.parts[1:4]) == set(BLOCKS)
    for name, part in parts.items():
        if part in BLOCKS:
            assert f".{part.removeprefix('block ')}." in name
    assert (layout.parts[0], *layout.parts[1:4]) == ("embedding", *BLOCKS)
    # What stands behind the blocks: OPT keeps its last norm in front of them, and a tied head is part of the embedding.
    assert layout.parts[4:] == ((), ("head",))[family != "opt"]
    assert ("lm_head.weight" in parts) == (family in ("llama", "mixtral"))


def test_sketch_and_sample_have_the_seed_and_the_tensors_of_the_layout():
    layout = layout_of("llama")
    assert (layout.sketch.sizes, layout.sketch.n_dims, layout.sketch.seed) == (layout.sizes, 1000, 5)
    assert (layout.sample.sizes, layout.sample.seed) == (layout.sizes, 5)
    assert len(layout.part_of) == len(layout.sizes) == len(layout.sketch.dims)
