"""Opens a results folder as its users do, with DuckDB: python open_parquet.py FOLDER

Fails unless every row is there and the numbers of runs.parquet follow from the rows.
"""

import sys

import duckdb

QUERY = """
select r.run, any_value(r.rows_written), count(*), any_value(r.completed),
       count(*) filter (q.phase = 'measured' and q.outcome = 'success'),
       any_value(r.mean_ttft_ms), avg(q.ttft_ms) filter (q.phase = 'measured' and q.outcome = 'success'),
       any_value(r.mean_e2el_ms), avg(q.e2el_ms) filter (q.phase = 'measured' and q.outcome = 'success'),
       bool_and(len(q.event_us) = len(q.event_kind)), min(typeof(q.sent_at))
from '{0}/requests/part-*.parquet' q join '{0}/runs.parquet' r using (run)
group by r.run
"""


def near(a, b):
    # A mean over nothing is null on both sides.
    return a is b or abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def main():
    folder = sys.argv[1].replace("'", "''")
    runs = duckdb.sql(QUERY.format(folder)).fetchall()
    assert runs, "no run"
    for run, written, rows, completed, measured, ttft, own_ttft, e2el, own_e2el, lists, stamp in runs:
        assert rows == written and measured == completed, (run, rows, written, measured, completed)
        assert near(ttft, own_ttft) and near(e2el, own_e2el), (run, ttft, own_ttft, e2el, own_e2el)
        assert lists and stamp.startswith("TIMESTAMP"), (run, lists, stamp)
        print(f"{run}: {rows} rows, {completed} measured successes, mean ttft {own_ttft} ms")


main()
