"""Holds the queries of all tools to the same rows: python queries_agree.py [--spark] FOLDER...

The SQL of docs/analytics.md in DuckDB, and the queries of the same names in examples/analytics for Polars, pandas and
Spark (`--spark`), where they are installed. Fails where one finds nothing, or something else than DuckDB.
"""

import glob
import importlib.util
import math
import os
import re
import sys

import duckdb

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))


def in_duckdb(folders):
    """Title to rows: each block of SQL stands below the bold words that name it."""
    page = open(os.path.join(ROOT, "docs", "analytics.md"), encoding="utf-8").read()
    found = {}
    for title, block in re.findall(r"^\*\*(.+?)\.?\*\*.*?^```sql\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for table in ("requests/*", "runs", "statistics", "series"):
            names = ", ".join(f"'{folder}/{table}.parquet'" for folder in folders)
            block = re.sub(r"(FROM|JOIN) 'results/\*/" + re.escape(table) + r"\.parquet'", rf"\1 read_parquet([{names}])", block)
        found[title] = duckdb.sql(block).fetchall()
    return found


def module(name):
    path = os.path.join(ROOT, "examples", "analytics", f"{name}_queries.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(name, frame):
    match name:
        case "polars":
            return frame.collect().rows()
        case "pandas":
            return list(frame.itertuples(index=False, name=None))
        case "spark":
            return [tuple(row) for row in frame.collect()]


def plain(value):
    if isinstance(value, (list, tuple)):
        return [item for each in value for item in plain(each)]
    if hasattr(value, "timestamp"):
        return [round(value.timestamp(), 3)]
    if value is None or isinstance(value, float) and math.isnan(value) or type(value).__name__ in ("NAType", "NaTType"):
        return [None]
    return [value if isinstance(value, str) else float(value)]


def key(row):
    return [(value is not None, isinstance(value, str), value if value is not None else 0) for value in
            [round(value, 6) if isinstance(value, float) else value for value in row]]


def same(one, other):
    def near(a, b):
        return a == b or None not in (a, b) and not isinstance(a, str) and abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-3)

    return len(one) == len(other) and all(map(near, one, other))


def main():
    folders = [os.path.abspath(name) for name in sys.argv[1:] if not name.startswith("--")]
    # A pattern of a list that finds nothing is an error to some readers.
    folders = [folder for folder in folders if glob.glob(f"{folder}/requests/*.parquet")]
    expected = in_duckdb(folders)
    assert len(expected) >= 10 and all(expected.values()), [title for title, rows in expected.items() if not rows]
    print(f"DuckDB: {len(expected)} queries, {sum(map(len, expected.values()))} rows")
    for name in ["polars", "pandas", *(["spark"] if "--spark" in sys.argv else [])]:
        if importlib.util.find_spec("pyspark" if name == "spark" else name) is None:
            print(f"SKIPPED: {name} is not installed")
            continue
        found = module(name).queries(folders)
        for title, frame in found.items():
            mine = sorted((plain(row) for row in rows_of(name, frame)), key=key)
            theirs = sorted((plain(row) for row in expected[title]), key=key)
            wrong = [pair for pair in zip(mine, theirs) if not same(*pair)]
            assert len(mine) == len(theirs) and not wrong, (name, title, len(mine), len(theirs), wrong[:3])
        print(f"{name}: {len(found)} queries find the same rows")


main()
