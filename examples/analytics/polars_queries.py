"""Results in Polars: python polars_queries.py [FOLDER...]"""

import sys

import polars as pl

folders = sys.argv[1:] or ["results/sample"]
requests = pl.scan_parquet([f"{folder}/requests/*.parquet" for folder in folders])
runs = pl.scan_parquet([f"{folder}/runs.parquet" for folder in folders])
numbers = pl.scan_parquet([f"{folder}/statistics.parquet" for folder in folders])
measured = requests.filter((pl.col("phase") == "measured") & (pl.col("outcome") == "success"))


def show(title, frame):
    print(title, frame.collect(), sep="\n")


p99 = pl.col("ttft_ms").quantile(0.99, "linear").alias("ttft_ms_p99")
show("p99 by class", measured.group_by("run_id", "class").agg(pl.len(), p99).sort("run_id", "class"))

events = measured.select("run_id", "seq", "turn", "sent_ns", "event_us", "event_kind").explode("event_us", "event_kind")
outputs = events.filter(pl.col("event_kind") & 14 > 0)
gap = (pl.col("event_us").diff().over("run_id", "seq", "turn") / 1000).alias("gap_ms")
gaps = outputs.with_columns(gap).drop_nulls("gap_ms")
percentiles = [pl.col("gap_ms").quantile(q, "linear").alias(f"p{100 * q:g}") for q in (0.5, 0.9, 0.99)]
show("itl percentiles", gaps.group_by("run_id").agg(pl.len(), pl.col("gap_ms").mean().alias("mean"), *percentiles))

second = ((pl.col("sent_ns") + pl.col("event_us") * 1000) // 1_000_000_000).alias("second")
show("output events a second", outputs.group_by("run_id", second).len().sort("run_id", "second"))

usual = pl.col("gap_ms").median().over("run_id", "seq", "turn")
show("stalls", gaps.filter(pl.col("gap_ms") > 5 * usual).group_by("run_id").agg(pl.len(), pl.col("gap_ms").max()))

waits = pl.col("queue_delay_ms", "ttft_ms", "e2el_ms", "response_e2el_ms").mean()
show("queueing against service", measured.group_by("run_id").agg(waits))

cached = (pl.col("cached_tokens").sum() / pl.col("input_tokens").sum()).alias("cached_share")
show("prefix reuse by turn", measured.group_by("run_id", "turn").agg(pl.len(), cached).sort("run_id", "turn"))

throughput = numbers.filter((pl.col("metric") == "output_tokens") & (pl.col("statistic") == "rate") & (pl.col("part") == ""))
of_run = runs.select("run_id", "zero_at", "model", "verdict")
show("over the dates", throughput.select("run_id", "cell", "value").join(of_run, on="run_id").sort("cell", "zero_at"))
