"""Opens results folders as their users do: python open_parquet.py [--spark] FOLDER...

All folders are read together, by one list of patterns and without options, in DuckDB and, where they are installed, in
Polars, pyarrow and Spark (`--spark`). Fails unless every reader finds the same rows, and unless what follows from the
rows is what the other tables say: in DuckDB every number of statistics.parquet (see recomputed.py), in each other
reader counts, means, percentiles and rates by functions of its own.
"""

import glob
import importlib.util
import json
import math
import sys

import duckdb

import recomputed

TABLES = {
    "requests": "requests/part-*.parquet",
    "runs": "runs.parquet",
    "statistics": "statistics.parquet",
    "series": "series.parquet",
    "metrics": "metrics.parquet",
    # What a script saved, in some folders: their values differ, their types do not.
    "saved": "users.parquet",
}


def files(folders, table):
    patterns = [f"{folder}/{TABLES[table]}" for folder in folders]
    return patterns if table != "saved" else [pattern for pattern in patterns if glob.glob(pattern)]


def found(folders, table):
    return [name for pattern in files(folders, table) for name in sorted(glob.glob(pattern))]


def near(a, b):
    missing = [value is None or math.isnan(value) for value in (a, b)]
    return all(missing) or not any(missing) and abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1e-3)


def limits(folders):
    """The limits of every run, which stand in the manifests."""
    found = {}
    for folder in folders:
        with open(f"{folder}/manifest.json", encoding="utf-8") as manifest:
            for run in json.load(manifest)["runs"]:
                if "slo" in run:
                    from_sent = run.get("slo_from") == "sent"
                    found[run["run_id"]] = [(limit["metric"], limit["ms"], from_sent) for limit in run["slo"]]
    return found


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
    exact, wrong = recomputed.compare(duckdb, limits(folders))
    assert not wrong, f"{len(wrong)} numbers are off\n" + "\n".join(map(str, wrong[:40]))
    joined = "select count(*) from statistics join runs using (experiment_id, run_id, folder, run, cell)"
    assert duckdb.sql(joined).fetchall()[0][0] == counts["statistics"]
    return counts, len(runs), exact


# What each reader computes again: count, mean, p50 and p99 of two latencies, failures and the rate of requests.
LATENCIES = ["ttft", "e2el"]


def same_as_stored(reader, own, stored):
    """`own`: (run_id, metric, statistic) to a number; `stored`: the rows of statistics.parquet."""
    stored = {(run, metric, statistic): value for run, part, metric, statistic, value in stored if part == ""}
    wrong = [(key, value, stored[key]) for key, value in own.items() if not near(value, stored[key])]
    assert own and not wrong, f"{reader}\n" + "\n".join(map(str, wrong[:20]))
    return len(own)


def in_polars(folders):
    import polars as pl

    scans = {table: pl.scan_parquet(files(folders, table)) for table in TABLES}
    counts = {table: scan.select(pl.len()).collect().item() for table, scan in scans.items()}
    requests = scans["requests"].join(
        scans["runs"].select("run_id", "window_start_ns", "window_end_ns"), on="run_id")
    measured = requests.filter((pl.col("phase") == "measured") & pl.col("planned_ns").is_between(
        pl.col("window_start_ns"), pl.col("window_end_ns")))
    own = {}
    for metric in LATENCIES:
        ms = pl.col(f"{metric}_ms").filter(pl.col("outcome") == "success")
        numbers = measured.group_by("run_id").agg(
            ms.count().alias("count"), ms.mean().alias("mean"), ms.quantile(0.5, "linear").alias("p50"),
            ms.quantile(0.99, "linear").alias("p99")).collect()
        for row in numbers.iter_rows(named=True):
            own.update({(row["run_id"], metric, name): row[name] for name in ("count", "mean", "p50", "p99")})
    ended = pl.col("end_ns").is_between("window_start_ns", "window_end_ns", closed="right")
    success = pl.col("outcome") == "success"
    rates = requests.group_by("run_id").agg(
        ((success & ended).sum() / ((pl.col("window_end_ns") - pl.col("window_start_ns")).first() / 1e9)).alias("rate"))
    own.update({(run, "requests", "rate"): rate for run, rate in rates.collect().iter_rows()})
    failed = measured.group_by("run_id").agg((~success).sum().alias("failed"))
    own.update({(run, "errors", "count"): count for run, count in failed.collect().iter_rows()})
    columns = ["run_id", "part", "metric", "statistic", "value"]
    return counts, same_as_stored("polars", own, scans["statistics"].select(columns).collect().iter_rows())


def in_pyarrow(folders):
    import pyarrow.compute as pc
    import pyarrow.dataset

    tables = {table: pyarrow.dataset.dataset(found(folders, table)).to_table() for table in TABLES}
    windows = tables["runs"].select(["run_id", "window_start_ns", "window_end_ns"])
    # A join takes no lists along.
    plain = tables["requests"].drop_columns(["event_us", "event_kind", "event_tokens", "event_bytes"])
    requests = plain.join(windows, keys="run_id")
    start, end = requests["window_start_ns"], requests["window_end_ns"]
    planned, ended, success = requests["planned_ns"], requests["end_ns"], pc.equal(requests["outcome"], "success")
    measured = pc.and_(pc.equal(requests["phase"], "measured"),
                       pc.and_(pc.greater_equal(planned, start), pc.less_equal(planned, end)))
    arrived = pc.and_(success, pc.and_(pc.greater(ended, start), pc.less_equal(ended, end)))
    own = {}
    for window in windows.to_pylist():
        run = window["run_id"]
        mine = pc.equal(requests["run_id"], run)
        if not pc.any(mine).as_py():
            continue
        for metric in LATENCIES:
            ms = requests.filter(pc.and_(mine, pc.and_(measured, success)))[f"{metric}_ms"]
            p50, p99 = pc.quantile(ms, [0.5, 0.99]).to_pylist()
            values = {"count": pc.count(ms).as_py(), "mean": pc.mean(ms).as_py(), "p50": p50, "p99": p99}
            own.update({(run, metric, name): value for name, value in values.items()})
        failed = pc.and_(mine, pc.and_(measured, pc.invert(success)))
        own[run, "errors", "count"] = pc.sum(failed).as_py()
        seconds = (window["window_end_ns"] - window["window_start_ns"]) / 1e9
        own[run, "requests", "rate"] = pc.sum(pc.and_(mine, arrived)).as_py() / seconds
    columns = ["run_id", "part", "metric", "statistic", "value"]
    stored = zip(*(tables["statistics"][name].to_pylist() for name in columns))
    return {name: table.num_rows for name, table in tables.items()}, same_as_stored("pyarrow", own, stored)


def in_spark(folders):
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    frames = {table: spark.read.parquet(*files(folders, table)) for table in TABLES}
    for table, frame in frames.items():
        frame.createOrReplaceTempView(table)
    counts = {table: frame.count() for table, frame in frames.items()}
    latencies = ", ".join(
        f"count({m}) AS {m}_count, avg({m}) AS {m}_mean, percentile({m}, 0.5) AS {m}_p50, percentile({m}, 0.99) AS {m}_p99"
        for m in LATENCIES)
    values = ", ".join(f"CASE WHEN measured AND success THEN {m}_ms END AS {m}" for m in LATENCIES)
    rows = spark.sql(f"""
        SELECT run_id, {latencies}, count_if(measured AND NOT success) AS errors_count,
               count_if(success AND end_ns > first AND end_ns <= last) / (max(last - first) / 1e9) AS requests_rate
        FROM (SELECT *, {values} FROM (
            SELECT requests.*, window_start_ns AS first, window_end_ns AS last, outcome = 'success' AS success,
                   phase = 'measured' AND planned_ns BETWEEN window_start_ns AND window_end_ns AS measured
            FROM requests JOIN runs USING (run_id)))
        GROUP BY run_id""").collect()
    own = {(row["run_id"], *name.rsplit("_", 1)): value
           for row in rows for name, value in row.asDict().items() if name != "run_id"}
    stored = spark.sql("SELECT run_id, part, metric, statistic, value FROM statistics").collect()
    return counts, same_as_stored("spark", own, stored)


def main():
    folders = [name for name in sys.argv[1:] if not name.startswith("--")]
    if not files(folders, "saved"):
        del TABLES["saved"]
    counts, runs, exact = in_duckdb(folders)
    told = ", ".join(f"{count} {name}" for name, count in sorted(exact.items(), key=str))
    print(f"{len(folders)} folders, {runs} runs, {counts['requests']} requests; numbers that follow from the rows: {told}")
    readers = [("polars", in_polars), ("pyarrow", in_pyarrow)]
    if "--spark" in sys.argv:
        readers.append(("pyspark", in_spark))
    for name, read in readers:
        if importlib.util.find_spec(name) is None:
            print(f"SKIPPED: {name} is not installed")
            continue
        rows, numbers = read(folders)
        assert rows == counts, (name, rows, counts)
        print(f"{name} reads the same rows, and {numbers} numbers follow from them")


main()
