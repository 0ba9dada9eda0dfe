"""Points of texts on disk, and who lies near whom."""

import importlib
from typing import Any

# On first use: Lance takes a second to import, and an index needs neither it nor a model.
_HOME = {
    "EncodingResult": "lexframe.latents.encoding",
    "LatentStore": "lexframe.latents.store",
    "NeighborIndex": "lexframe.latents.neighbors",
    "Neighbors": "lexframe.latents.neighbors",
    "StoreInfo": "lexframe.latents.store",
    "TextBlock": "lexframe.latents.encoding",
    "TextEncoder": "lexframe.latents.text_encoder",
    "VectorColumn": "lexframe.latents.store",
    "Verification": "lexframe.latents.store",
    "encode_to_store": "lexframe.latents.encoding",
    "export_store": "lexframe.latents.transfer",
    "import_vectors": "lexframe.latents.transfer",
    "row_blocks": "lexframe.latents.encoding",
    "store_index": "lexframe.latents.neighbors",
    "text_blocks": "lexframe.latents.encoding",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'lexframe.latents' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
