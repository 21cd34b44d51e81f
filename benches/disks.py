#!/usr/bin/env python3
"""What becomes of a run whose disk fails: a full file system (tmpfs, so root on Linux), a deleted folder, and, played by
tests/data/disk.c, a disk that turns read-only or does not answer.

    sudo python3 benches/disks.py [--rampant target/release/rampant] [--seconds 120] [--only full,stalled]

For each case: how it ended (exit code), when it was told, whether the numbers were printed, the most memory that the process
had, requests that finished, rows that are there after `rampant recover`, and the last words. Cases that end by themselves
(`full`, `stalled`) run until no more rows can be held, or for `--seconds`. Exit code 1 when numbers were not printed, or when
what was said to be safe is not there.
"""

import argparse
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def sh(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True)


TEXT = json.dumps("word " * 20_000)


class Replies(http.server.BaseHTTPRequestHandler):
    """Four events with 100 kB of text each."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode()
        self.send_response(200 if self.path == "/v1/models" else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        usage = '{"prompt_tokens": 16, "completion_tokens": 4, "total_tokens": 20}'
        head = '{"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": '
        events = [f'{head}[{{"index": 0, "delta": {{"content": {TEXT}}}, "finish_reason": null}}]}}'] * 4
        events += [f'{head}[{{"index": 0, "delta": {{}}, "finish_reason": "length"}}]}}', f'{head}[], "usage": {usage}}}']
        for event in events + ["[DONE]"]:
            self.chunk(f"data: {event}\n\n".encode())
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, text):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))


class Case:
    def __init__(self, rampant, url, where, size=None, env=None):
        self.rampant, self.where, self.size = rampant, where, size
        self.out = os.path.join(where, "out")
        os.makedirs(self.out)
        if size:
            sh("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.out)
        # Replies of much text that is kept: 128 MB of rows are soon there.
        command = [rampant, "single", "--base-url", url, "--backend", "openai-chat", "--model", "m", "--tokenizer", "none"]
        command += ["--random-input-len", "16", "--random-output-len", "4", "--num-prompts", "10000000"]
        command += ["--save-detailed", "--max-concurrency", "8", "--out", self.out, "--lang", "en"]
        self.stdout = open(os.path.join(where, "stdout"), "w+")
        self.child = subprocess.Popen(
            command, stdout=self.stdout, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )
        self.began = time.monotonic()
        self.said = []
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()
        while not self.folder() or not os.path.isdir(os.path.join(self.folder(), ".journal")):
            time.sleep(0.05)
        time.sleep(2)

    def listen(self):
        for line in self.child.stderr:
            self.said.append((time.monotonic(), line.strip()))

    def folder(self):
        names = [os.path.join(self.out, name) for name in os.listdir(self.out)]
        return names[0] if names else None

    def told(self, since):
        for at, line in self.said:
            if "held in memory" in line:
                return f"{at - since:.1f} s"
        return "never"

    def end(self, patience):
        """Waits for the end; after `patience` seconds it is interrupted."""
        pid, by_itself = self.child.pid, True
        deadline = time.monotonic() + patience
        while True:
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                break
            if by_itself and time.monotonic() > deadline:
                by_itself = False
                os.kill(pid, signal.SIGINT)
            time.sleep(0.05)
        self.reader.join()
        self.stdout.seek(0)
        return os.waitstatus_to_exitcode(status), by_itself, usage.ru_maxrss / 1024, self.stdout.read()

    def close(self):
        if self.size:
            sh("umount", "-l", self.out, check=False)


def filled(folder):
    """Fills a file system to its last byte; the file that did."""
    path = os.path.join(os.path.dirname(folder), "filler")
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
        try:
            while True:
                file.write(b"x" * 512)
        except OSError:
            pass
    return path


def run(name, rampant, url, seconds, library):
    where = tempfile.mkdtemp(prefix="disks")
    state = os.path.join(where, "state")
    env = {"LD_PRELOAD": library, "DISK_BELOW": os.path.join(where, "out"), "DISK_STATE": state}
    real = name in ("full", "space comes back")
    # The kernel refuses to make a mount read-only in which a file is open to be written: only a fault does that.
    played = name in ("read-only", "stalled")
    case = Case(rampant, url, where, "64m" if real else None, env if played else None)
    since, patience, keeps = time.monotonic(), 8, True
    if name == "full":
        filled(case.folder())
        patience = seconds
    elif name == "space comes back":
        filler = filled(case.folder())
        time.sleep(5)
        os.remove(filler)
    elif name == "read-only":
        with open(state, "w") as file:
            file.write("r")
    elif name == "deleted":
        shutil.rmtree(case.folder())
        keeps = False
    elif name == "stalled":
        with open(state, "w") as file:
            file.write("s")
        patience = seconds
    code, by_itself, megabytes, out = case.end(patience)
    told = case.told(since)
    printed = re.search(r"([\d,]+) total", out + "\n".join(line for _, line in case.said))
    total = int(printed[1].replace(",", "")) if printed else None
    errors = [line for _, line in case.said if line.startswith("error: ")]
    claim = re.search(r"(\d+) of \d+ requests are safe", " ".join(errors))
    if played:
        os.remove(state)
    if name == "full":
        os.remove(os.path.join(case.out, "filler"))
    rows = 0
    if keeps:
        sh(rampant, "recover", case.folder(), check=False)
        counted = sh(rampant, "aggregate", "--list", "--out", case.out, check=False).stdout
        rows = int(re.findall(r"(\d+)\s*│?\s*$", counted.strip().splitlines()[-2])[0])
    case.close()
    good = total is not None and told != "never" and (not claim or int(claim[1]) == rows)
    how = "by itself" if by_itself else "by Ctrl-C"
    print(f"{name}: exit {code}, {how}; told after {told}; {total} finished, {rows} rows there, "
          f"said to be safe: {claim[1] if claim else '-'}; at most {megabytes:.0f} MB{'' if good else '  <- WRONG'}")
    for error in errors[:1]:
        print(f"    {error[:230]}")
    shutil.rmtree(where, ignore_errors=True)
    return good


def main():
    cases = ["space comes back", "full", "read-only", "deleted", "stalled"]
    parser = argparse.ArgumentParser()
    parser.add_argument("--rampant", default="target/release/rampant")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--only", default=",".join(cases))
    given = parser.parse_args()
    rampant = os.path.abspath(given.rampant)
    if os.geteuid() != 0:
        sys.exit("SKIPPED: only root can mount a file system")
    library = os.path.join(tempfile.mkdtemp(prefix="disks"), "disk.so")
    sh("cc", "-shared", "-fPIC", "-w", "-o", library, os.path.join(HERE, "..", "tests", "data", "disk.c"), "-ldl")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Replies)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    done = [run(name, rampant, url, given.seconds, library) for name in given.only.split(",")]
    sys.exit(0 if all(done) else 1)


main()
