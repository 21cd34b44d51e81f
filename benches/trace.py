#!/usr/bin/env python3
"""Reads traces of a million rows and says what that takes: python3 benches/trace.py [--rows N] [BINARY].

Nothing is sent: a script opens the trace and prints what it holds. Time is CPU time of the process, memory
its peak.
"""

import argparse
import datetime
import json
import os
import random
import subprocess
import tempfile


def azure(path, rows):
    """Times and lengths alone, as CSV."""
    at = datetime.datetime(2023, 11, 16, 18, 15, 46)
    with open(path, "w") as out:
        out.write("TIMESTAMP,ContextTokens,GeneratedTokens\n")
        for _ in range(rows):
            at += datetime.timedelta(seconds=random.expovariate(20))
            lengths = random.randint(1, 8000), random.randint(1, 800)
            out.write("%s0,%d,%d\n" % (at.strftime("%Y-%m-%d %H:%M:%S.%f"), *lengths))


def mooncake(path, rows):
    """With the blocks of each prompt: two that many share, and four to twenty in all."""
    hot = [[random.randint(0, 50), random.randint(100, 600)] for _ in range(500)]
    at, fresh = 0.0, 1000
    with open(path, "w") as out:
        for _ in range(rows):
            at += random.expovariate(0.02)
            ids = list(hot[int(500 * random.random() ** 3)])
            more = random.randint(2, 18)
            ids += range(fresh, fresh + more)
            fresh += more
            row = {
                "timestamp": int(at),
                "input_length": len(ids) * 512 - random.randint(0, 511),
                "output_length": random.randint(1, 800),
                "hash_ids": ids,
            }
            out.write(json.dumps(row) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("binary", nargs="?", default="target/release/rampant")
    asked = parser.parse_args()
    binary = os.path.abspath(asked.binary)
    random.seed(1)
    with tempfile.TemporaryDirectory() as folder:
        script = os.path.join(folder, "open.rhai")
        with open(script, "w") as out:
            out.write('let tr = trace(param("file", ""));\nprint(`${tr.rows} rows, ${tr.duration} s, reuse ${tr.reuse}`);\n')
        for make, name in [(azure, "azure.csv"), (mooncake, "mooncake.jsonl")]:
            path = os.path.join(folder, name)
            make(path, asked.rows)
            command = [binary, "run", script, "-p", "file=" + path]
            done = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
            told = done.stdout.read().strip()
            _, status, used = os.wait4(done.pid, 0)
            assert status == 0, status
            megabytes = os.path.getsize(path) / 1e6
            cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
            print(f"{name}: {megabytes:.0f} MB, {told}: {cpu:.2f} s of CPU, {peak:.0f} MiB at most")


if __name__ == "__main__":
    main()
