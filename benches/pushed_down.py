"""How many row groups a filter leaves of a results folder, by DuckDB and pyarrow: `pushed_down.py FOLDER`.

The folder needs several row groups; `cargo bench --bench fold -- million` makes one. Needs duckdb and pyarrow.
Exits with 1 where a filter that fits few rows, or none, has every row group read.
"""

import re
import sys

import duckdb
import pyarrow.dataset
from pyarrow.dataset import field

folder = sys.argv[1]
requests = f"{folder}/requests"
connection = duckdb.connect()


def one(query):
    return connection.execute(query).fetchone()


first, last = one(f"SELECT min(planned_ns), max(planned_ns) FROM '{requests}/*.parquet'")
tenth = first + (last - first) * 9 // 10
# The words, the same as an expression, and whether row groups must be left out.
filters = [
    (f"planned_ns >= {tenth}", field("planned_ns") >= tenth, True),
    ("run_id = 'another'", field("run_id") == "another", True),
    ("class = 'zzz'", field("class") == "zzz", True),
    ("outcome = 'zzz'", field("outcome") == "zzz", True),
    ("outcome = 'success'", field("outcome") == "success", False),
]
failed = False
print(f"{'filter':36} {'rows':>9}  DuckDB  pyarrow  of")
for words, expression, fewer in filters:
    query = f"SELECT count(*), avg(ttft_ms) FROM '{requests}/*.parquet' WHERE {words}"
    rows, _ = one(query)
    plan = connection.execute("EXPLAIN ANALYZE " + query).fetchall()[0][1]
    scanned, groups = map(int, re.search(r"Row Groups Scanned: (\d+) / (\d+)", plan).groups())
    left = pyarrow.dataset.dataset(requests).get_fragments(filter=expression)
    left = sum(len(fragment.split_by_row_group(expression)) for fragment in left)
    print(f"{words:36} {rows:>9}  {scanned:>6}  {left:>7}  {groups}")
    failed |= fewer and (scanned >= groups or left >= groups)
sys.exit(failed)
