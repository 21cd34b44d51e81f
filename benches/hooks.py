#!/usr/bin/env python3
"""What hooks cost: one load without hooks, and with each of them, against `rampant engine`.

    python3 benches/hooks.py [--program target/dist/rampant] [--rate 1000] [--seconds 20] [--runs 3]

Prints for each the CPU time of the client per request (user and system, the start of the program
taken off), what a call took by the program's own count, and the verdict of the run. Both
processes are on the same machine: give it at least four cores for a verdict that says something.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile

CASES = {
    "no hooks": "",
    "before_request": 'before_request: |req| { req.header("x-user", `user-${req.index % 100}`); req.max_tokens = req.rng.int(4, 12); },',
    "on_response": "on_response: |resp| { fast.add(resp.ok && resp.ttft < 50.0); length.add(resp.output_tokens); },",
    "both": 'before_request: |req| { req.header("x-user", `user-${req.index % 100}`); req.max_tokens = req.rng.int(4, 12); }, '
    "on_response: |resp| { fast.add(resp.ok && resp.ttft < 50.0); length.add(resp.output_tokens); },",
}

SCRIPT = """
let fast = metric("fast", #{{ kind: "share" }});
let length = metric("length", #{{ kind: "trend" }});
run(#{{
    target: target("{url}"),
    workload: prompts(#{{ input: 64, output: 8 }}),
    arrivals: constant({rate}),
    {hooks}
    requests: {requests},
}});
"""


def measured(program, folder, script):
    """CPU seconds of one invocation, and its manifest."""
    path = pathlib.Path(folder) / "hooks.rhai"
    path.write_text(script)
    command = [program, "run", str(path), "-q", "--undecided", "pass", "--out", f"{folder}/out"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 95, 96):
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    manifests = sorted(pathlib.Path(folder, "out").glob("*/manifest.json"))
    return usage.ru_utime + usage.ru_stime, json.loads(manifests[-1].read_text())["runs"][0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="target/release/rampant")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    engine = subprocess.Popen(
        [options.program, "engine", "--port", "0", "--config", "ttft=2ms,itl=1ms"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    try:
        url = None
        while url is None:
            line = engine.stdout.readline()
            if not line:
                raise SystemExit("the engine has ended")
            found = re.search(r"http://[0-9.:]+", line)
            url = found and found.group(0)
        few = options.rate
        many = options.rate * options.seconds
        print(f"{'':16} {'us of CPU a request':>20} {'ratio':>6}  {'us a call':<36} verdicts")
        first = None
        for name, hooks in CASES.items():
            costs, calls, verdicts = [], {}, []
            for _ in range(options.runs):
                with tempfile.TemporaryDirectory() as folder:
                    short, _ = measured(options.program, folder, SCRIPT.format(url=url, rate=options.rate, requests=few, hooks=hooks))
                with tempfile.TemporaryDirectory() as folder:
                    whole, run = measured(options.program, folder, SCRIPT.format(url=url, rate=options.rate, requests=many, hooks=hooks))
                costs.append(1e6 * (whole - short) / (many - few))
                verdicts.append(run["verdict"]["verdict"])
                for hook in run["hooks"]:
                    calls.setdefault(hook["hook"], []).append(1e3 * hook["total_ms"] / max(hook["calls"], 1))
            cost = statistics.median(costs)
            first = first or cost
            told = ", ".join(f"{hook} {statistics.median(us):.1f}" for hook, us in calls.items())
            print(f"{name:16} {cost:20.1f} {cost / first:6.2f}  {told:<36} {', '.join(verdicts)}")
    finally:
        engine.kill()
        engine.wait()


if __name__ == "__main__":
    main()
