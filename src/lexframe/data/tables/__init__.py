"""How tables are read, an idea a file: bytes, encodings, delimiters and quotes, JSON, Parquet, workbooks, folders, values."""
