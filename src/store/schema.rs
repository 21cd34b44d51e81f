//! The Parquet schema of `requests/part-*.parquet`: names, units, encodings.
