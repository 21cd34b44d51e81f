"""GuideLLM's own handling of a stream and its `GenerativeMetrics`, of the streams of a log of ours.

    python guidellm_peer.py LOG
"""

import asyncio
import json
import sys
import types

import replay_server


class Clock:
    now = 0.0

    def time(self):
        return self.now


class Stream:
    """What httpx would hand over, each line at the time at which ours came."""

    def __init__(self, clock, row):
        self.clock, self.row = clock, row

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return False

    def raise_for_status(self):
        if self.row["status"] != 200:
            raise RuntimeError(f"status {self.row['status']}")

    async def aiter_lines(self):
        _, chunks, ends = replay_server.plan(self.row["plan"], self.row["chat"], self.row["odd"])
        for at, (_, chunk) in zip(self.row["event_us"], chunks):
            self.clock.now = self.row["sent_s"] + at / 1e6
            yield chunk.decode().strip()
        self.clock.now = self.row["end_s"]
        if not ends:
            raise RuntimeError("peer closed connection without sending complete message body")


async def one(clock, row):
    """The request as GuideLLM would keep it, and whether it succeeded."""
    from guidellm.backends.openai import http
    from guidellm.backends.openai.request_handlers import OpenAIRequestHandlerFactory
    from guidellm.schemas import GenerationRequest, GenerationRequestArguments, GenerationResponse, RequestInfo

    path = "/v1/chat/completions" if row["chat"] else "/v1/completions"
    backend = http.OpenAIHTTPBackend.__new__(http.OpenAIHTTPBackend)
    backend._async_client = types.SimpleNamespace(stream=lambda **_: Stream(clock, row))
    request = GenerationRequest(request_id=row["id"], columns={})
    info = RequestInfo(request_id=row["id"], status="completed")
    clock.now = row["sent_s"]
    response, succeeded = None, True
    try:
        handler = OpenAIRequestHandlerFactory.create(path)
        async for given, info in backend._resolve_streaming(
                request, info, handler, GenerationRequestArguments(), {}):
            response = given or response
    except Exception:
        succeeded = False
        info.timings.request_end = clock.now
        info.status = "errored"
    info.timings.resolve_end = info.timings.request_end
    response = response or GenerationResponse(request_id=row["id"], request_args=None)
    return response.compile_stats(request, info), succeeded


async def replay(log):
    from guidellm.backends.openai import http
    from guidellm.benchmark.schemas.metrics import GenerativeMetrics
    from guidellm.benchmark.schemas.accumulator import GenerativeRequestsAccumulator
    from guidellm.schemas.benchmark import GoodputSLO

    # A moment that is not 0, which it takes for none.
    epoch = 1_000_000.0
    for row in log["requests"]:
        row["sent_s"] += epoch
        row["end_s"] += epoch
    http.time = clock = Clock()
    done, failed = GenerativeRequestsAccumulator(), GenerativeRequestsAccumulator()
    for row in log["requests"]:
        stats, succeeded = await one(clock, row)
        (done if succeeded else failed).requests_stats.append(stats)
    first = min(row["sent_s"] for row in log["requests"])
    last = max(row["end_s"] for row in log["requests"])
    goodput = log.get("goodput") or {}
    slo = GoodputSLO(**{f"{key}_ms": value for key, value in goodput.items()}) if goodput else None
    found = GenerativeMetrics.compile(types.SimpleNamespace(
        timings=types.SimpleNamespace(finalized_measure_start=first, finalized_measure_end=last),
        completed=done, errored=failed, incomplete=GenerativeRequestsAccumulator(),
        config=types.SimpleNamespace(confidence=None, slo=slo,
                                     strategy=types.SimpleNamespace(defines_arrival_schedule=False))))
    seconds = last - first
    numbers = {"completed": found.request_totals.successful, "failed": found.request_totals.errored,
               "duration": seconds, "request_throughput": found.requests_per_second.successful.mean,
               "output_throughput": found.output_token_count.successful.total_sum / seconds,
               "total_input_tokens": found.prompt_token_count.successful.total_sum,
               "total_output_tokens": found.output_token_count.successful.total_sum,
               "request_goodput": found.request_goodput.successful.mean if found.request_goodput else None}
    for ours, theirs, unit in [("ttft", found.time_to_first_token_ms, 1), ("tpot", found.time_per_output_token_ms, 1),
                               ("itl", found.inter_token_latency_ms, 1), ("e2el", found.request_latency, 1e3)]:
        of = theirs.successful
        for name, value in [("mean", of.mean), ("median", of.median), ("std", of.std_dev), ("p99", of.percentiles.p99)]:
            numbers[f"{name}_{ours}_ms"] = value * unit
    return {"numbers": numbers}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print("\n" + json.dumps(asyncio.run(replay(json.load(file)))))
