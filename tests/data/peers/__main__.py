"""The views beside the tools whose numbers they give, on the same bytes: `python tests/data/peers [--work DIR]
[--rampant PROGRAM] [--requests N] [--only vllm,guidellm,aiperf,inference-perf] [--side-by-side]`.

1. `rampant single` asks a server whose streams are known beforehand, so that its log holds the times of known bytes.
2. Each tool's own code reads the same bytes, its clock set to those times, and its own functions make its numbers.
3. `rampant aggregate --view TOOL` is held to them: means within 0.5 %, p99 within 1 %.

With --side-by-side the client of vLLM asks the same server itself, too: there the machine is
part of the difference, and it is told and not judged. Tools come from PyPI; one that cannot be had is skipped, and
the last line says so. Exits with 1 where a number is off.
"""

import argparse
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import replay_server

HERE = Path(__file__).resolve().parent
PACKAGES = {"vllm": ["aiohttp", "numpy", "tqdm", "regex", "pyarrow"], "guidellm": ["guidellm"], "aiperf": ["aiperf"],
            "inference-perf": ["inference-perf"]}
LIMIT = {"mean": 0.5, "medi": 0.5, "std_": 1.0, "p99_": 1.0}
GOODPUT = {"ttft": 200.0, "e2el": 900.0}
NOT_OF_A_VIEW = ["max_output_tokens_per_s", "max_concurrent_requests", "rtfx"]
# Differences that are known, by tool and number, and why.
KNOWN = {
    ("vllm", "total_input_tokens"): "where the server does not count (an error inside a stream), vLLM takes the asked length",
    ("vllm", "total_token_throughput"): "the same",
    ("inference-perf", "output_throughput"): "its tokenizer counts what it was sent; the view has the server's count",
}


def venv(work, name, pythons):
    """A virtual environment with the packages of a tool, made once; the reason where it cannot be."""
    at = work / f"venv-{name}"
    if (at / "done").exists():
        return at / "bin" / "python", None
    why = "no Python"
    for python in pythons:
        try:
            subprocess.run([python, "-m", "venv", at], check=True, capture_output=True, timeout=120)
            subprocess.run([at / "bin" / "pip", "install", "-q", *PACKAGES[name]], check=True, capture_output=True,
                           text=True, timeout=1500)
            (at / "done").touch()
            return at / "bin" / "python", None
        except (OSError, subprocess.SubprocessError) as error:
            why = (getattr(error, "stderr", None) or str(error))[-300:]
    return None, why


def vllm_source(work):
    """`vllm/benchmarks` out of vLLM's source distribution, which cannot be built here, and need not be."""
    found = glob.glob(f"{work}/vllm-source/vllm-*/vllm/benchmarks")
    if not found:
        scratch = work / "vllm-download"
        (work / "vllm-source").mkdir(exist_ok=True)
        scratch.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "vllm", "--no-deps", "--no-binary", "vllm", "--no-clean",
                        "--no-build-isolation", "-d", scratch], env={**os.environ, "TMPDIR": str(scratch)},
                       capture_output=True, timeout=900, check=False)
        # pip leaves the archive, or what was in it, as its version goes.
        for archive in glob.glob(f"{scratch}/**/vllm-*.tar.gz", recursive=True):
            subprocess.run(["tar", "-xzf", archive, "-C", work / "vllm-source", "--wildcards", "*/vllm/benchmarks/*"],
                           check=True)
        for unpacked in glob.glob(f"{scratch}/*/vllm_*/vllm/benchmarks"):
            shutil.copytree(unpacked, work / "vllm-source/vllm-unpacked/vllm/benchmarks", dirs_exist_ok=True)
        shutil.rmtree(scratch)
        found = glob.glob(f"{work}/vllm-source/vllm-*/vllm/benchmarks")
    return str(Path(found[0]).parents[1]) if found else None


def last_json(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, **more)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError((done.stderr or done.stdout)[-600:])
    return json.loads(lines[-1])


class Server:
    def __init__(self, folder, odd):
        self.log, port = folder / "server.jsonl", folder / "port"
        port.unlink(missing_ok=True)
        self.process = subprocess.Popen([sys.executable, HERE / "replay_server.py", port, self.log, *(["odd"] if odd else [])])
        for _ in range(300):
            if port.exists() and port.read_text():
                break
            time.sleep(0.05)
        self.url = f"http://127.0.0.1:{port.read_text()}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def measured(rampant, folder, chat, odd, requests):
    """A run of ours: its results folder, and the log of the server."""
    folder.mkdir(parents=True)
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"#{i} say something", "output_tokens": 40}) + "\n"
                               for i in range(requests)))
    server = Server(folder, odd)
    api = (["--backend", "openai-chat", "--endpoint", "/v1/chat/completions"] if chat else ["--endpoint", "/v1/completions"])
    goodput = [f"{key}:{ms:g}" for key, ms in GOODPUT.items()]
    try:
        subprocess.run([rampant, "single", "--base-url", server.url, "--model", "m", *api, "--dataset-name", "custom",
                        "--dataset-path", prompts, "--num-prompts", str(requests), "--max-concurrency", "8", "--goodput",
                        *goodput, "-q"], cwd=folder, check=False, capture_output=True, timeout=600)
    finally:
        server.stop()
    return next((folder / "results").iterdir()), server.log


def view(rampant, folder, results, tool):
    subprocess.run([rampant, "aggregate", "--dir", results.name, "--view", tool, "--format", "json", "-q"], cwd=folder,
                   check=True, capture_output=True)
    made = max(results.glob("aggregate_results_*.json"), key=lambda path: path.stat().st_mtime_ns)
    return json.loads(made.read_text())[0]


def held(tool, what, theirs, ours, judged=True):
    """Prints the numbers side by side; how many are off."""
    off = 0
    print(f"\n{tool}, {what}\n{'':32}{tool:>16}{'rampant --view':>18}{'difference':>13}")
    for key, value in theirs.items():
        mine = ours.get(key)
        if (value is None and mine is None) or key in NOT_OF_A_VIEW:
            continue
        if value is None or mine is None:
            off += 1
            print(f"{key:32}{value!s:>16.14}{mine!s:>18.14}{'':>13}  ONE OF THEM HAS NONE")
            continue
        difference = abs(mine - value) / abs(value) * 100 if value else abs(mine) * 100
        known = KNOWN.get((tool, key))
        bad = judged and difference > LIMIT.get(key[:4], 0.5) and not known
        off += bad
        print(f"{key:32}{value:16.4f}{mine:18.4f}{difference:12.4f} %{'  OFF' if bad else ''}"
              f"{f'  ({known})' if known and difference > 0.001 else ''}")
    return off


def beyond_the_server(theirs, ours, server_log, requests):
    """Prints by how much each client's TTFT is more than the server's own time from its read to its write."""
    lines = [json.loads(line) for line in server_log.read_text().splitlines()]
    wrote = [line for line in lines if "wrote_ms" in line]
    # Ours came first, then vLLM's, which asks in the order of the prompts; a look whether it is ready is before both.
    sides = {"rampant": {line["plan"]: line["wrote_ms"] for line in wrote[:requests]},
             "vllm": {line["plan"]: line["wrote_ms"] for line in wrote[-requests:]}}
    more = {"rampant": [], "vllm": []}
    for row in ours["requests"]:
        k = replay_server.first_token(row["plan"], row["chat"])
        more["rampant"].append(row["event_us"][k] / 1e3 - sides["rampant"][row["plan"]][k])
    for number, ttft in enumerate(theirs["ttfts"]):
        k = replay_server.first_token(number, True)
        if number in sides["vllm"]:
            more["vllm"].append(1e3 * ttft - sides["vllm"][number][k])
    print("\nTTFT beyond the server's own time from its read of the request to its write of the first token, ms")
    for tool, values in more.items():
        values.sort()
        print(f"{tool:>8}: mean {sum(values) / len(values):.3f}, p50 {values[len(values) // 2]:.3f}, "
              f"max {values[-1]:.3f} of {len(values)} requests")


def side_by_side(tool, python, source, folder, requests):
    """vLLM's client itself against the same server; its numbers."""
    server = Server(folder, False)
    try:
        prompts = folder / "prompts.jsonl"
        subprocess.run([python, HERE / "vllm_peer.py", "run", source, "--backend", "openai-chat", "--endpoint",
                        "/v1/chat/completions", "--base-url", server.url, "--model", "m", "--dataset-path", prompts,
                        "--num-prompts", str(requests), "--max-concurrency", "8", "--ready-check-timeout-sec", "0",
                        "--percentile-metrics", "ttft,tpot,itl,e2el", "--save-result", "--save-detailed", "--disable-tqdm",
                        "--result-filename", "vllm.json"], cwd=folder, check=True, capture_output=True, timeout=600)
    finally:
        server.stop()
    result = json.loads((folder / "vllm.json").read_text())
    beyond_the_server(result, json.loads((folder / "log.json").read_text()), server.log, requests)
    return {key: value for key, value in result.items() if key.endswith("_ms") or key in
            ("completed", "failed", "total_input_tokens", "total_output_tokens", "request_throughput", "output_throughput")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "rampant-peers")
    parser.add_argument("--rampant", type=Path, default=HERE.parents[2] / "target/release/rampant")
    parser.add_argument("--requests", type=int, default=120)
    parser.add_argument("--only", default=",".join(PACKAGES))
    parser.add_argument("--side-by-side", action="store_true")
    asked = parser.parse_args()
    work, rampant = asked.work.resolve(), asked.rampant.resolve()
    work.mkdir(parents=True, exist_ok=True)
    pythons = ["python3.12", *sorted(glob.glob(f"{Path.home()}/.pyenv/versions/3.1[1-3]*/bin/python3"), reverse=True), sys.executable]
    reader, why = venv(work, "vllm", pythons)
    if not reader:
        print(f"SKIPPED: no tool could be had: {why}")
        return 0
    peers, skipped, off = {}, [], 0
    for tool in asked.only.split(","):
        python, why = venv(work, tool, pythons)
        source = vllm_source(work) if tool == "vllm" and python else ""
        if not python or source is None:
            skipped.append(f"{tool} ({why or 'no source of vLLM'})")
            continue
        peers[tool] = (python, source)
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        for name, chat, odd in [("chat", True, False), ("completions", False, False), ("odd_chat", True, True)]:
            folder = Path(scratch) / name
            results, server_log = measured(rampant, folder, chat, odd, asked.requests)
            log = last_json([reader, HERE / "dump_log.py", results, server_log, "odd" if odd else "sound"])
            log["goodput"] = GOODPUT
            path = folder / "log.json"
            path.write_text(json.dumps(log))
            for tool, (python, source) in peers.items():
                script = HERE / f"{tool.replace('-', '_')}_peer.py"
                line = [python, script, *(["replay", source] if source else []), path]
                try:
                    theirs = last_json(line)["numbers"]
                except (RuntimeError, subprocess.SubprocessError) as failure:
                    off += 1
                    print(f"\n{tool}, {name}: FAILED: {failure}")
                    continue
                off += held(tool, f"{name}: the same bytes at the same times", theirs, view(rampant, folder, results, tool))
            if asked.side_by_side and name == "chat" and "vllm" in peers:
                theirs = side_by_side("vllm", *peers["vllm"], folder, asked.requests)
                held("vllm", "its client itself, the same server: not judged", theirs, view(rampant, folder, results, "vllm"), False)
    for tool in skipped:
        print(f"SKIPPED: {tool}")
    print(f"\n{len(peers)} tools beside their views, {len(skipped)} skipped, {off} numbers off")
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
