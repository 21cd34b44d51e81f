#!/usr/bin/env python3
"""What a `kill -9` loses: rampant is killed at random moments, and its rows are held against the log of the server.

    python3 benches/killed.py [--rampant target/release/rampant] [--kills 20] [--users 8,200]

For each kill: requests that the server had finished, rows that are there after `rampant recover`, and the age (at the
kill) of the latest finish from which on everything that is older has a row. Needs pyarrow. Exit code 1 when a request that was
finished for more than a second has no row, a row is there twice, or `aggregate` fails.
"""

import argparse
import asyncio
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pyarrow.parquet as pq

FINISHED = {}  # request id -> time.monotonic() at its last byte


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            lines = head.split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            if lines[0].startswith("GET"):
                text = json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode()
                kind = "200 OK" if "/v1/models" in lines[0] else "404 Not Found"
                writer.write(f"HTTP/1.1 {kind}\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)
                await writer.drain()
                continue
            asked = json.loads(body)
            tokens = asked.get("max_completion_tokens") or asked.get("max_tokens") or 8
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            usage = {"prompt_tokens": 16, "completion_tokens": tokens, "total_tokens": 16 + tokens}
            for i in range(tokens):
                chunk(writer, {"choices": [{"index": 0, "delta": {"content": " x"}, "finish_reason": None}]})
                await writer.drain()
                await asyncio.sleep(random.uniform(0.002, 0.02))
            chunk(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
            chunk(writer, {"choices": [], "usage": usage})
            text = b"data: [DONE]\n\n"
            writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(text), text))
            await writer.drain()
            FINISHED[fields.get("x-request-id", "")] = time.monotonic()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def chunk(writer, event):
    event = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", **event}
    text = b"data: " + json.dumps(event).encode() + b"\n\n"
    writer.write(b"%x\r\n%s\r\n" % (len(text), text))


def started():
    port = []
    ready = threading.Event()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
        port.append(server.sockets[0].getsockname()[1])
        ready.set()
        await server.serve_forever()

    threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
    ready.wait()
    return port[0]


def rows_in(folder):
    ids = []
    for part in glob.glob(f"{folder}/requests/*.parquet"):
        ids += pq.ParquetFile(part).read(columns=["request_id"])["request_id"].to_pylist()
    return ids


def kill_once(rampant, port, users, after, where):
    FINISHED.clear()
    out = os.path.join(where, "out")
    command = [rampant, "single", "--base-url", f"http://127.0.0.1:{port}", "--backend", "openai-chat", "--model", "m"]
    command += ["--random-input-len", "16", "--random-output-len", "8", "--num-prompts", "1000000"]
    command += ["--max-concurrency", str(users), "--out", out]
    log = open(os.path.join(where, "log"), "w")
    child = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    began = time.monotonic()
    while not FINISHED and time.monotonic() - began < 60:
        time.sleep(0.01)
    time.sleep(after)
    killed = time.monotonic()
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    finished = {name: killed - at for name, at in FINISHED.items() if at <= killed and name}
    folder = glob.glob(f"{out}/*/")[0]
    before = rows_in(folder)
    recovered = subprocess.run([rampant, "recover", folder], capture_output=True, text=True)
    again = subprocess.run([rampant, "recover", folder], capture_output=True, text=True)
    aggregated = subprocess.run([rampant, "aggregate", "--out", out], capture_output=True, text=True)
    ids = rows_in(folder)
    known = set(ids)
    # The request that is sent ahead, the first of all, stands in no result.
    oldest = max(finished.values(), default=0.0)
    lost = [age for name, age in finished.items() if name not in known and age < oldest]
    worst = max(lost, default=0.0)
    # Killed before its run began, it has nothing to aggregate.
    aggregates = aggregated.returncode == 0 or (not known and "nothing had finished" in aggregated.stderr)
    good = worst <= 1.0 and len(known) == len(ids) and recovered.returncode == 0 and aggregates
    print(
        f"{users:4} users, killed after {after:5.2f} s: {len(finished):6} finished, {len(before):6} rows in parts, "
        f"{len(ids):6} after recover, {len(lost):4} lost, the oldest finished {worst:.3f} s before the kill"
        f"{'' if good else '  <- WRONG'}"
    )
    if not good:
        for done in (recovered, again, aggregated):
            print("   ", done.returncode, done.stdout.strip()[:200], done.stderr.strip()[:300])
    return good, worst


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rampant", default="target/release/rampant")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--users", default="8,200")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    random.seed(given.seed)
    port = started()
    wrong, worst = 0, 0.0
    for users in map(int, given.users.split(",")):
        for _ in range(given.kills):
            where = tempfile.mkdtemp(prefix="killed")
            good, lost = kill_once(given.rampant, port, users, random.uniform(0.0, 6.0), where)
            wrong, worst = wrong + (not good), max(worst, lost)
            shutil.rmtree(where)
    print(f"{wrong} of the kills went wrong; the oldest request that was lost had finished {worst:.3f} s before its kill")
    sys.exit(1 if wrong else 0)


main()
