"""Opens results folders as their users do: python open_parquet.py FOLDER...

All folders are read together, by one list of files and without options, in DuckDB and, where they are
installed, in Polars, pyarrow and Spark (`--spark`). Fails unless every reader finds the same rows, and unless
what follows from the rows (counts, means, percentiles, rates) is what statistics.parquet says.
"""

import importlib.util
import sys

import duckdb

TABLES = {
    "requests": "requests/part-*.parquet",
    "runs": "runs.parquet",
    "statistics": "statistics.parquet",
    "series": "series.parquet",
    "metrics": "metrics.parquet",
}

# What is exact, from the rows alone. A percentile is linear between two neighbours, as quantile_cont is.
NUMBERS = """
with successes as (
    select * from requests where phase = 'measured' and outcome = 'success'
), gaps as (
    select run_id, (us - lag(us) over (partition by run_id, seq, turn order by i)) / 1000.0 as ms
    from (select run_id, seq, turn, unnest(event_us) as us, unnest(event_kind) as kind,
                 generate_subscripts(event_us, 1) as i from successes where streamed)
    where kind & 14 > 0
), each as (
    unpivot (select run_id, ttft_ms as ttft, tpot_ms as tpot, e2el_ms as e2el, response_e2el_ms as response_e2el,
                    input_tokens::double as input_tokens, output_tokens::double as output_tokens from successes)
    on columns(* exclude run_id) into name metric value value
    union all select run_id, 'itl', ms from gaps where ms is not null
), own as (
    select run_id, metric, unnest(['mean', 'min', 'max', 'std', 'p50', 'p90', 'p99', 'count', 'sum']) as statistic,
           unnest([avg(value), min(value), max(value), stddev_pop(value), quantile_cont(value, 0.5),
                   quantile_cont(value, 0.9), quantile_cont(value, 0.99), count(value), sum(value)]) as value
    from each group by run_id, metric
    union all
    select run_id, metric, 'count', value from (
        select run_id, count(*)::double as requests, (count(*) filter (outcome <> 'success'))::double as errors
        from requests where phase = 'measured' group by run_id
    ) unpivot (value for metric in (requests, errors))
    union all
    select run_id, 'requests', 'rate',
           (count(*) filter (end_ns > window_start_ns and end_ns <= window_end_ns))
           / (any_value(window_end_ns - window_start_ns) / 1e9)
    from requests join runs using (run_id) where outcome = 'success' group by run_id
)
select run_id, metric, statistic, own.value, stored.value
from own join (from statistics where part = '') stored using (run_id, metric, statistic)
"""


def files(folders, table):
    return [f"{folder}/{TABLES[table]}" for folder in folders]


def near(a, b):
    return a == b or (a is not None and b is not None and abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-3))


def in_duckdb(folders):
    for table in TABLES:
        names = ", ".join("'" + name.replace("'", "''") + "'" for name in files(folders, table))
        duckdb.sql(f"create or replace view {table} as from read_parquet([{names}])")
    counts = {table: duckdb.sql(f"select count(*) from {table}").fetchall()[0][0] for table in TABLES}
    runs = duckdb.sql("select run_id, rows_written from runs").fetchall()
    rows = dict(duckdb.sql("select run_id, count(*) from requests group by run_id").fetchall())
    assert runs and len(runs) == len({run for run, _ in runs}), "a run_id stands for two runs"
    for run, written in runs:
        assert rows.get(run, 0) == written, (run, rows.get(run), written)
    lists = "bool_and(len(event_us) = len(event_kind)), min(typeof(sent_at)), min(typeof(event_us))"
    same, at, us = duckdb.sql(f"select {lists} from requests").fetchall()[0]
    assert same and at == "TIMESTAMP WITH TIME ZONE" and us == "BIGINT[]", (same, at, us)
    numbers = duckdb.sql(NUMBERS).fetchall()
    wrong = [number for number in numbers if not near(number[3], number[4])]
    assert not wrong, "\n".join(map(str, wrong[:20]))
    joined = "select count(*) from statistics join runs using (experiment_id, run_id, folder, run, cell)"
    assert duckdb.sql(joined).fetchall()[0][0] == counts["statistics"]
    return counts, len(runs), len(numbers)


def in_polars(folders):
    import polars

    scans = {table: polars.scan_parquet(files(folders, table)) for table in TABLES}
    return {table: scan.select(polars.len()).collect().item() for table, scan in scans.items()}


def in_pyarrow(folders):
    import glob

    import pyarrow.dataset

    counts = {}
    for table in TABLES:
        names = [name for pattern in files(folders, table) for name in sorted(glob.glob(pattern))]
        counts[table] = pyarrow.dataset.dataset(names).to_table().num_rows
    return counts


def in_spark(folders):
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return {table: spark.read.parquet(*files(folders, table)).count() for table in TABLES}


def main():
    folders = [name for name in sys.argv[1:] if not name.startswith("--")]
    counts, runs, numbers = in_duckdb(folders)
    print(f"{len(folders)} folders, {runs} runs, {counts['requests']} requests: {numbers} numbers follow from the rows")
    readers = [("polars", in_polars), ("pyarrow", in_pyarrow)]
    if "--spark" in sys.argv:
        readers.append(("pyspark", in_spark))
    for name, read in readers:
        if importlib.util.find_spec(name) is None:
            print(f"SKIPPED: {name} is not installed")
            continue
        assert read(folders) == counts, (name, read(folders), counts)
        print(f"{name} reads the same rows")


main()
