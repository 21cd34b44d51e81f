"""Mean and p99 of ttft or itl over a results folder, in milliseconds, by DuckDB: exact, like ours."""

import sys

import duckdb

folder, metric = sys.argv[1:]
requests = f"'{folder}/requests/*.parquet' WHERE phase = 'measured' AND outcome = 'success'"
if metric == "ttft":
    query = f"SELECT avg(ttft_ms), quantile_cont(ttft_ms, 0.99) FROM {requests}"
else:
    # 14: reasoning, content and calls of tools. Such events of a reply stand together.
    query = f"""
        WITH times AS (
            SELECT list_where(event_us, list_transform(event_kind, lambda kind: kind & 14 > 0)) AS us FROM {requests}
        ), gaps AS (
            SELECT unnest(list_transform(us[2:], lambda later, i: later - us[i])) / 1000.0 AS gap_ms FROM times
        )
        SELECT avg(gap_ms), quantile_cont(gap_ms, 0.99) FROM gaps
    """
print(metric, *duckdb.connect().execute(query).fetchone())
