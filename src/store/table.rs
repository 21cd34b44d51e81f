//! `save_table`: rows of a script as a Parquet file.
