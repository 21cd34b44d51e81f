"""Results in pandas: python pandas_queries.py [FOLDER...]

Each query is the one of the same name in docs/analytics.md, with its columns.
"""

import sys
from pathlib import Path

import pandas as pd

REPLY = ["run_id", "seq", "turn"]


def queries(folders):
    def table(files):
        found = sorted(file for folder in folders for file in Path(folder).glob(files))
        return pd.concat([pd.read_parquet(file) for file in found], ignore_index=True)

    requests, runs, numbers = table("requests/*.parquet"), table("runs.parquet"), table("statistics.parquet")
    measured = requests[(requests.phase == "measured") & (requests.outcome == "success")]

    p99 = measured.groupby(["run_id", "class"]).agg(
        requests=("seq", "size"), ttft_ms_p99=("ttft_ms", lambda ms: ms.quantile(0.99)),
        e2el_ms_p99=("e2el_ms", lambda ms: ms.quantile(0.99)))

    lists = ["event_us", "event_kind", "event_tokens"]
    columns = [*REPLY, "phase", "outcome", "streamed", "sent_ns", "output_tokens"]
    events = requests[requests.event_us.str.len() > 0][[*columns, *lists]].explode(lists)
    events = events.astype({name: "int64" for name in lists})
    output = events[events.event_kind & 14 > 0]
    replies = output[(output.phase == "measured") & (output.outcome == "success") & output.streamed].copy()
    replies["gap_ms"] = replies.groupby(REPLY).event_us.diff() / 1000
    gaps = replies.dropna(subset="gap_ms")
    quantiles = gaps.groupby("run_id").gap_ms.quantile([0.5, 0.9, 0.99, 0.999]).unstack()
    itl = gaps.groupby("run_id").gap_ms.agg(["size", "mean"]).join(quantiles)

    counted = output.dropna(subset="output_tokens").copy()
    replies_of = counted.groupby(REPLY).event_tokens
    even = counted.output_tokens / replies_of.transform("size")
    counted["tokens"] = even.where(replies_of.transform("sum") == 0, counted.event_tokens)
    counted["second"] = (counted.sent_ns + counted.event_us * 1000) // 1_000_000_000
    over_time = counted.groupby(["run_id", "second"])[["tokens"]].sum()

    usual = gaps.groupby(REPLY).gap_ms.transform("median")
    stalled = gaps.assign(stalls=(usual > 0) & (gaps.gap_ms > 5 * usual))
    stalls = stalled.groupby("run_id").agg(stalls=("stalls", "sum"), longest_gap_ms=("gap_ms", "max"))

    waits = measured.assign(service_ms=measured.e2el_ms - measured.ttft_ms)
    queueing = waits.groupby("run_id")[["queue_delay_ms", "ttft_ms", "service_ms", "response_e2el_ms"]].mean()

    told = measured.assign(told=measured.input_tokens.where(measured.cached_tokens.notna()))
    reuse = told.groupby(["run_id", "turn"]).agg(
        requests=("seq", "size"), input_tokens=("input_tokens", "mean"),
        cached=("cached_tokens", lambda tokens: tokens.sum(min_count=1)), told=("told", "sum"))
    reuse["cached_share"] = reuse.cached / reuse.told
    reuse = reuse.drop(columns=["cached", "told"])

    wanted = [("ttft", "p99"), ("output_tokens", "rate")]
    rows = numbers[(numbers.part == "") & pd.Series(zip(numbers.metric, numbers.statistic)).isin(wanted)]
    of_run = runs.assign(gpus=runs.tags.map(lambda tags: dict(tags).get("gpus")))[["run_id", "zero_at", "gpus", "verdict"]]
    dates = rows.merge(of_run, on="run_id")[
        ["zero_at", "folder", "cell", "gpus", "verdict", "metric", "statistic", "value", "low", "high"]]

    return {
        "P99 by class": p99.reset_index(),
        "ITL percentiles": itl.reset_index(),
        "Tokens per second over time": over_time.reset_index(),
        "Stalls": stalls.reset_index(),
        "Queueing against service": queueing.reset_index(),
        "Prefix reuse by turn": reuse.reset_index(),
        "One cell over the dates": dates,
    }


if __name__ == "__main__":
    for title, found in queries(sys.argv[1:] or ["results/sample"]).items():
        assert len(found) > 0, title
        print(title, found, sep="\n")
