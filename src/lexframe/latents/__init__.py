"""Points of texts on disk, and who lies near whom."""

from lexframe.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "blocks": ["TextBlock", "row_blocks", "text_blocks"],
        "column_types": ["ColumnTypes"],
        "encoding": ["EncodingResult", "StoreSettings", "Workers", "encode_to_store"],
        "neighbors": ["NeighborIndex", "Neighbors", "store_index"],
        "schema": ["VectorColumn"],
        "store": ["LatentStore", "StoreInfo"],
        "text_encoder": ["TextEncoder"],
        "text_reader": ["Reading", "Scaling", "TextReader"],
        "transfer": ["export_store", "import_vectors"],
        "verification": ["Verification"],
    },
)
