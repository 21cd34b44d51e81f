"""Requests of a results folder and what the server sent for each, as JSON, in the order of their sends.

    python dump_log.py FOLDER SERVER_LOG odd|sound
"""

import json
import sys
from pathlib import Path

import pyarrow.dataset as dataset

COLUMNS = ["request_id", "phase", "sent_ns", "end_ns", "event_us", "status", "input_tokens", "output_tokens",
           "outcome"]


def log(folder, server_log, odd):
    with open(server_log, encoding="utf-8") as file:
        asked = {line["id"]: line for line in map(json.loads, file) if "id" in line}
    rows = dataset.dataset(Path(folder) / "requests").to_table(columns=COLUMNS).to_pylist()
    rows = [row for row in rows if row["phase"] == "measured" and row["request_id"] in asked]
    rows.sort(key=lambda row: row["sent_ns"])
    return {"requests": [{
        "id": row["request_id"], "plan": asked[row["request_id"]]["plan"], "chat": asked[row["request_id"]]["chat"],
        "odd": odd, "sent_s": row["sent_ns"] / 1e9, "end_s": row["end_ns"] / 1e9, "event_us": row["event_us"],
        "status": row["status"], "input": row["input_tokens"], "output": row["output_tokens"],
        "outcome": row["outcome"]} for row in rows]}


if __name__ == "__main__":
    print(json.dumps(log(sys.argv[1], sys.argv[2], sys.argv[3] == "odd")))
