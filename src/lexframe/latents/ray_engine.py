"""The same encoding on Ray Data: actors hold the model, read staged texts and write files; the driver commits them.

What passes through the driver is the number of a block and the list of its files, so one driver serves a cluster.
"""

import logging
import shutil
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from lexframe.exceptions import InterruptedRunError, MissingExtraError
from lexframe.files import replacing
from lexframe.latents.blocks import BlockResult, Recipe, TextBlock, encode_block
from lexframe.latents.files import cannot_write
from lexframe.latents.rows import metadata_array
from lexframe.latents.schema import ID, TEXT
from lexframe.latents.workers import mapped_copy, weights_path
from lexframe.spaces.base import Space

STAGED_SUFFIX = ".texts"


def encode_on_ray(space: Space, blocks: Iterable[TextBlock], recipe: Recipe, n_workers: int) -> Iterator[BlockResult]:
    """Results of blocks, in the order of the blocks.

    Parameters
    ----------
    space : Space
        Reaches every node by Ray's object store.
    blocks : iterable of TextBlock
        Written first as a Lance dataset beside the store, a fragment a block, from which the actors read.
    recipe : Recipe
        Its store must be reachable from every node: an object store, or a disk that all share.
    n_workers : int
        Actors, each with one core.

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    InterruptedRunError
        If Ray gives up. What was committed is kept. An actor that dies is started again by Ray, and its block done again.

    Notes
    -----
    Ray gives its workers a low priority (``RAY_worker_niceness``): on a machine that does other work they crawl.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("Ray", "ray") from error
    staged = recipe.path.rstrip("/") + STAGED_SUFFIX
    n_blocks = stage(blocks, staged, recipe)
    try:
        if not n_blocks:
            return
        if not ray.is_initialized():
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        shared = _shared(space)  # held until the end: an actor that is started again fetches it again
        numbers = ray.data.from_items([{"block": number} for number in range(n_blocks)], override_num_blocks=n_blocks)
        done = numbers.map_batches(
            BlockEncoder,
            fn_constructor_args=(*shared, recipe, staged),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(n_workers, n_blocks)),
            num_cpus=1,
        )
        try:
            for row in done.iter_rows():
                yield BlockResult(str(row["fragment"]), int(row["n_texts"]), int(row["n_tokens"]), int(row["n_truncated"]))
        except ray.exceptions.RayError as error:
            cause = str(error).strip().splitlines()
            raise InterruptedRunError(
                f"Ray gave up: {cause[-1] if cause else type(error).__name__:.300}. What is done is kept: run the same command again."
            ) from error
        finally:
            shutil.rmtree(weights_path(shared[2]).parent, ignore_errors=True)
    finally:
        if "://" not in staged:
            shutil.rmtree(staged, ignore_errors=True)


def stage(blocks: Iterable[TextBlock], path: str, recipe: Recipe) -> int:
    """Write blocks as a Lance dataset, a fragment a block; returns how many. One block at a time is in memory."""
    import lance
    from lance.fragment import write_fragments

    storage_options = dict(recipe.storage_options) or None
    types = {item.name: item for item in pa.ipc.read_schema(pa.py_buffer(recipe.schema))}
    fragments: list[Any] = []
    schema: pa.Schema | None = None
    try:
        if "://" not in path:
            shutil.rmtree(path, ignore_errors=True)  # of a driver that was killed
        for block in blocks:
            schema = pa.schema([(ID, pa.string()), (TEXT, pa.string()), *(types[name] for name in block.metadata)])
            columns = [metadata_array(values, types[name], len(block)) for name, values in block.metadata.items()]
            table = pa.table([pa.array(block.ids), pa.array(block.texts), *columns], schema=schema)
            fragments += write_fragments(table, path, schema=schema, mode="create", storage_options=storage_options)
        if schema is not None:
            operation = lance.LanceOperation.Overwrite(schema, fragments)
            lance.LanceDataset.commit(path, operation, storage_options=storage_options)
    except OSError as error:
        raise cannot_write(path, error) from error
    return len(fragments)


class BlockEncoder:
    """What an actor does: read a block by its number, encode it, write its files.

    Parameters
    ----------
    space : list of ObjectRef
        One reference, within a list so that Ray does not fetch the space before its weights are there.
    weights : ndarray of uint8
        The file of weights.
    folder : str
        Where it belongs, see :func:`lexframe.latents.workers.mapped_copy`.
    recipe : Recipe
    staged : str
        Address of the staged texts.
    """

    def __init__(self, space: list[Any], weights: np.ndarray, folder: str, recipe: Recipe, staged: str):
        import lance
        import ray
        import torch

        torch.set_num_threads(1)
        if not weights_path(folder).is_file():  # actors of one node map one file, whichever of them writes it
            with replacing(weights_path(folder)) as temporary:
                temporary.write_bytes(weights.data)
        self.space = ray.get(space[0])
        self.recipe = recipe
        self.fragments = lance.dataset(staged, storage_options=dict(recipe.storage_options) or None).get_fragments()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """Encode the blocks whose numbers are in ``batch["block"]``."""
        from lexframe.latents.blocks import TextBlock

        found: dict[str, list[Any]] = {"fragment": [], "n_texts": [], "n_tokens": [], "n_truncated": []}
        for number in batch["block"].tolist():
            columns = self.fragments[number].to_table().to_pydict()
            block = TextBlock(tuple(columns.pop(ID)), tuple(columns.pop(TEXT)), columns)
            result = encode_block(self.space, block, self.recipe)
            for name in found:
                found[name].append(getattr(result, name))
        return found


def _shared(space: Space) -> tuple[list[Any], Any, str]:
    """The space and its weights in Ray's object store, and the folder in which the weights are looked for."""
    import ray

    folder = f"lexframe-ray-{uuid.uuid4().hex[:12]}"
    light = mapped_copy(space, folder)
    return [ray.put(light)], ray.put(np.fromfile(weights_path(folder), dtype=np.uint8)), folder
