"""Results in Polars: python polars_queries.py [FOLDER...]

Each query is the one of the same name in docs/analytics.md, with its columns.
"""

import sys

import polars as pl

REPLY = ["run_id", "seq", "turn"]
PERCENTILES = (0.5, 0.9, 0.99, 0.999)


def queries(folders):
    requests = pl.scan_parquet([f"{folder}/requests/*.parquet" for folder in folders])
    runs = pl.scan_parquet([f"{folder}/runs.parquet" for folder in folders])
    numbers = pl.scan_parquet([f"{folder}/statistics.parquet" for folder in folders])
    series = pl.scan_parquet([f"{folder}/series.parquet" for folder in folders])
    measured = requests.filter((pl.col("phase") == "measured") & (pl.col("outcome") == "success"))

    def percentile(column, q):
        return pl.col(column).quantile(q, "linear").alias(f"{column}_p{100 * q:g}")

    p99 = measured.group_by("run_id", "class").agg(
        pl.len().alias("requests"), percentile("ttft_ms", 0.99), percentile("e2el_ms", 0.99))

    lists = ["event_us", "event_kind", "event_tokens"]
    events = requests.select(*REPLY, "phase", "outcome", "streamed", "sent_ns", "output_tokens", *lists).explode(lists)
    output = events.filter(pl.col("event_kind") & 14 > 0)
    replies = output.filter((pl.col("phase") == "measured") & (pl.col("outcome") == "success") & pl.col("streamed"))
    gap = (pl.col("event_us").diff().over(REPLY) / 1000).alias("gap_ms")
    gaps = replies.with_columns(gap).drop_nulls("gap_ms")
    itl = gaps.group_by("run_id").agg(
        pl.len().alias("gaps"), pl.col("gap_ms").mean().alias("mean"), *[percentile("gap_ms", q) for q in PERCENTILES])

    told, outputs = pl.col("event_tokens").sum().over(REPLY), pl.len().over(REPLY)
    tokens = pl.when(told > 0).then(pl.col("event_tokens")).otherwise(pl.col("output_tokens") / outputs)
    second = ((pl.col("sent_ns") + pl.col("event_us") * 1000) // 1_000_000_000).alias("second")
    over_time = output.drop_nulls("output_tokens").with_columns(tokens.alias("output_tokens"), second)
    over_time = over_time.group_by("run_id", "second").agg(pl.col("output_tokens").sum())

    usual = pl.col("gap_ms").median().over(REPLY)
    stalled = (usual > 0) & (pl.col("gap_ms") > 5 * usual)
    stalls = gaps.with_columns(stalled.alias("stalled")).group_by("run_id").agg(
        pl.col("stalled").sum().alias("stalls"), pl.col("gap_ms").max().alias("longest_gap_ms"))

    queueing = measured.group_by("run_id").agg(
        pl.col("queue_delay_ms").mean().alias("before_the_send_ms"),
        pl.col("ttft_ms").mean().alias("to_the_first_token_ms"),
        (pl.col("e2el_ms") - pl.col("ttft_ms")).mean().alias("from_there_on_ms"),
        pl.col("response_e2el_ms").mean().alias("all_of_it_ms"))

    sent = requests.drop_nulls("sent_ns")
    starts = sent.select("run_id", pl.col("sent_ns").alias("at_ns"), pl.lit(1).alias("change"), "ttft_ms")
    ends = sent.select("run_id", pl.col("end_ns").alias("at_ns"), pl.lit(-1).alias("change"),
                       pl.lit(None, pl.Float64).alias("ttft_ms"))
    levels = pl.concat([starts, ends]).sort("run_id", "at_ns", "change")
    levels = levels.with_columns(pl.col("change").cum_sum().over("run_id").alias("in_flight"))
    in_flight = levels.filter(pl.col("change") == 1).group_by("run_id", "in_flight").agg(
        pl.len().alias("requests"), pl.col("ttft_ms").median().alias("ttft_ms_p50"))

    knows = pl.col("cached_tokens").is_not_null()
    reuse = measured.group_by("run_id", "turn").agg(
        pl.len().alias("requests"), pl.col("input_tokens").mean(),
        (pl.col("cached_tokens").sum() / pl.col("input_tokens").filter(knows).sum()).alias("cached_share"))

    wanted = pl.struct("metric", "statistic").is_in(
        [{"metric": "ttft", "statistic": "p99"}, {"metric": "output_tokens", "statistic": "rate"}])
    # A map is a list of pairs to some versions.
    pairs = pl.col("tags").cast(pl.List(pl.Struct({"key": pl.String, "value": pl.String})))
    gpus = pairs.list.eval(pl.element().filter(pl.element().struct[0] == "gpus").struct[1]).list.first()
    of_run = runs.select("run_id", "zero_at", gpus.alias("gpus"), "verdict")
    dates = numbers.filter((pl.col("part") == "") & wanted).join(of_run, on="run_id").select(
        "zero_at", "folder", "cell", "gpus", "verdict", "metric", "statistic", "value", "low", "high")

    waiting = series.filter((pl.col("source") == "server") & (pl.col("metric") == "waiting"))
    waiting = waiting.select("run_id", "at_ns", pl.col("value").alias("waiting")).sort("at_ns")
    meanwhile = sent.select("run_id", "seq", "ttft_ms", "sent_ns").sort("sent_ns").join_asof(
        waiting, left_on="sent_ns", right_on="at_ns", by="run_id")
    meanwhile = meanwhile.drop_nulls("waiting").select("run_id", "seq", "ttft_ms", "waiting")

    choices = events.filter((pl.col("event_kind") & 512 > 0)).group_by(REPLY).agg(
        (pl.col("event_us").min() / 1000).alias("first_choice_ms"))
    asked = requests.filter(pl.col("phase") == "measured").join(choices, on=REPLY, how="left")
    asked = asked.join(runs.select("run_id", "window_start_ns", "last_end_ns"), on="run_id")
    success = pl.col("outcome") == "success"
    seconds = (pl.col("last_end_ns") - pl.col("window_start_ns")).first() / 1e9
    peers = asked.group_by("run_id").agg(
        (success.sum() / seconds).alias("vllm_request_throughput"),
        pl.col("first_choice_ms").filter(success).mean().alias("vllm_mean_ttft_ms"),
        pl.col("itl_mean_ms").filter(success).mean().alias("mean_of_mean_itl_ms"),
        (1000 / pl.col("tpot_ms")).filter(success & (pl.col("tpot_ms") > 0)).mean().alias("output_tokens_per_s_per_user"))

    return {
        "P99 by class": p99,
        "ITL percentiles": itl,
        "Tokens per second over time": over_time,
        "Stalls": stalls,
        "Queueing against service": queueing,
        "In flight at arrival": in_flight,
        "Prefix reuse by turn": reuse,
        "One cell over the dates": dates,
        "What the server said meanwhile": meanwhile,
        "The peers' definitions": peers,
    }


if __name__ == "__main__":
    for title, query in queries(sys.argv[1:] or ["results/sample"]).items():
        found = query.collect()
        assert len(found) > 0, title
        print(title, found, sep="\n")
