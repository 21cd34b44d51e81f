"""llama.cpp's HTTP server for tests: python llama_cpp_server.py MODEL.gguf

Listens on a free port of 127.0.0.1, says `listening on URL` on standard output, and ends when
standard input does, so that a killed test leaves no server behind. Its own log is on standard
error.
"""

import os
import sys

import xllamacpp

SLOTS = 4
TOKENS_PER_SLOT = 1024


def main():
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.model_alias = {"smollm2"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * TOKENS_PER_SLOT
    params.cont_batching = True
    params.endpoint_metrics = True
    # Every prompt is read in full, or a later one would be measured warm.
    params.cache_prompt = False
    threads = max(1, (os.cpu_count() or 1) - 1)
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print("listening on", server.listening_address, flush=True)
    while sys.stdin.read(4096):
        pass


main()
