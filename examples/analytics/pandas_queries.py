"""Results in pandas: python pandas_queries.py [FOLDER...]"""

import sys
from pathlib import Path

import pandas as pd

folders = [Path(folder) for folder in sys.argv[1:] or ["results/sample"]]
parts = sorted(part for folder in folders for part in folder.glob("requests/*.parquet"))
requests = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
runs = pd.concat([pd.read_parquet(folder / "runs.parquet") for folder in folders], ignore_index=True)
numbers = pd.concat([pd.read_parquet(folder / "statistics.parquet") for folder in folders], ignore_index=True)
measured = requests[(requests.phase == "measured") & (requests.outcome == "success")]

print("p99 by class")
print(measured.groupby(["run_id", "class"]).ttft_ms.quantile(0.99))

events = measured[["run_id", "seq", "turn", "sent_ns", "event_us", "event_kind"]].explode(["event_us", "event_kind"])
events = events.astype({"event_us": "int64", "event_kind": "int64"})
outputs = events[events.event_kind & 14 > 0].copy()
outputs["gap_ms"] = outputs.groupby(["run_id", "seq", "turn"]).event_us.diff() / 1000
print("itl percentiles")
print(outputs.groupby("run_id").gap_ms.describe(percentiles=[0.5, 0.9, 0.99]))

print("output events a second")
outputs["second"] = (outputs.sent_ns + outputs.event_us * 1000) // 1_000_000_000
print(outputs.groupby(["run_id", "second"]).size())

print("stalls")
usual = outputs.groupby(["run_id", "seq", "turn"]).gap_ms.transform("median")
print((outputs.gap_ms > 5 * usual).groupby(outputs.run_id).sum())

print("queueing against service")
print(measured.groupby("run_id")[["queue_delay_ms", "ttft_ms", "e2el_ms", "response_e2el_ms"]].mean())

print("prefix reuse by turn")
tokens = measured.groupby(["run_id", "turn"])[["cached_tokens", "input_tokens"]].sum()
print(tokens.cached_tokens / tokens.input_tokens)

print("over the dates")
rate = numbers[(numbers.part == "") & (numbers.metric == "output_tokens") & (numbers.statistic == "rate")]
print(rate[["run_id", "cell", "value"]].merge(runs[["run_id", "zero_at", "model", "verdict"]], on="run_id"))
