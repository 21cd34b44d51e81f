#!/usr/bin/env python3
"""A batch that is killed again and again, at random moments, and goes on with --resume until it is whole.

    python3 benches/resumed.py [--rampant target/release/rampant] [--batches 5] [--seed 1]

For each batch: how often it was killed, and what is there at the end. Exit code 1 when a cell has not exactly the rows that it
was to have, a request is there twice, or a row that a reader saw before a kill is neither in the folder nor in what was put
aside. Needs pyarrow.
"""

import argparse
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pyarrow.parquet as pq

CELLS = {"io8x4_mc2_np150": 151, "io8x4_mc8_np300": 301, "io16x8_mc2_np150": 151, "io16x8_mc8_np300": 301}


def ids_in(folder):
    found = []
    for part in glob.glob(f"{folder}/requests/*.parquet*"):
        table = pq.ParquetFile(part).read(columns=["run", "request_id"])
        found += zip(table["run"].to_pylist(), table["request_id"].to_pylist())
    return found


def batch(rampant, url, where):
    with open(os.path.join(where, "config.yaml"), "w") as file:
        file.write(f"model: rampant-sim\nbase_url: {url}\ninput_output: [[8, 4], [16, 8]]\n"
                   "concurrency_prompts: [[2, 150], [8, 300]]\nwarmup: 1\n")
    command, kills, seen = [rampant, "batch", "-q"], 0, set()
    while True:
        child = subprocess.Popen(command, cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, said = child.communicate(timeout=random.uniform(0.2, 3.0) if kills < 12 else 120)
            folders = glob.glob(f"{where}/results/*/manifest.json")
            if child.returncode == 0:
                break
            if folders and "cannot go on" not in said:
                return f"exit {child.returncode}: {said.strip()[-300:]}"
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
            kills += 1
            for folder in glob.glob(f"{where}/results/*/"):
                seen |= set(ids_in(folder))
        # Killed before there was a folder, or before its plans were noted: begun anew.
        plans = glob.glob(f"{where}/results/*/script/plans.json")
        whole = plans and os.path.exists(os.path.join(os.path.dirname(os.path.dirname(plans[0])), "manifest.json"))
        if not whole:
            shutil.rmtree(f"{where}/results", ignore_errors=True)
            seen = set()
        command = [rampant, "batch", "-q"] + (["--resume"] if whole else [])
    folder = glob.glob(f"{where}/results/*/")[0]
    rows = ids_in(folder)
    aside = [row for place in glob.glob(f"{folder}/.superseded/*/") for row in ids_in(place)]
    counts = {cell: sum(run == cell for run, _ in rows) for cell in CELLS}
    lost = seen - set(rows) - set(aside)
    table = pq.read_table(f"{folder}/runs.parquet", columns=["run", "recovered"]).to_pylist()
    numbers = pq.read_table(f"{folder}/statistics.parquet", columns=["run_id"])["run_id"].to_pylist()
    series = pq.read_table(f"{folder}/series.parquet", columns=["run_id"])["run_id"].to_pylist()
    manifest = json.load(open(f"{folder}/manifest.json"))
    good = counts == CELLS and len(set(rows)) == len(rows) and not lost
    good &= [row["run"] for row in table] == list(CELLS) and not any(row["recovered"] for row in table)
    good &= len(set(numbers)) == len(CELLS) and len(set(series)) == len(CELLS)
    aggregated = subprocess.run([rampant, "aggregate"], cwd=where, capture_output=True, text=True)
    good &= aggregated.returncode == 0
    print(f"killed {kills} times, {len(manifest['invocations'])} invocations: {counts}; {len(aside)} rows of "
          f"{len(manifest.get('superseded', []))} runs put aside, {len(lost)} lost{'' if good else '  <- WRONG'}")
    return None if good else f"{table} {len(set(numbers))} {len(set(series))} {aggregated.stderr.strip()[-300:]}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rampant", default="target/release/rampant")
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random.seed(given.seed)
    rampant = os.path.abspath(given.rampant)
    engine = subprocess.Popen([rampant, "engine", "--port", "0", "--until-stdin-closes", "--config", "ttft=5ms,itl=2ms"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = engine.stdout.readline().strip().removeprefix("listening on ")
    wrong = 0
    for _ in range(given.batches):
        where = tempfile.mkdtemp(prefix="resumed")
        told = batch(rampant, url, where)
        if told:
            wrong += 1
            print("   ", told)
        shutil.rmtree(where)
    engine.kill()
    sys.exit(1 if wrong else 0)


main()
