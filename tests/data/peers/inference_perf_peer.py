"""inference-perf's own parsing of a stream and its `summarize_requests`, of the streams of a log of ours.

    python inference_perf_peer.py LOG
"""

import asyncio
import json
import sys
import types

import replay_server


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


class Words:
    """A tokenizer: a word is a token."""

    def count_tokens(self, text, **_):
        return len(text.split())


class Reply:
    def __init__(self, clock, row):
        self.clock, self.row, self.content = clock, row, self

    async def iter_any(self):
        _, chunks, ends = replay_server.plan(self.row["plan"], self.row["chat"], self.row["odd"])
        for at, (_, chunk) in zip(self.row["event_us"], chunks):
            self.clock.now = self.row["sent_s"] + at / 1e6
            yield chunk
        self.clock.now = self.row["end_s"]
        if not ends:
            raise RuntimeError("Response payload is not completed")


async def replay(log):
    from inference_perf.apis import ErrorResponseInfo, RequestLifecycleMetric, streaming_parser
    from inference_perf.apis.chat import ChatCompletionAPIData, ChatMessage
    from inference_perf.apis.completion import CompletionAPIData
    from inference_perf.reportgen.base import summarize_requests

    streaming_parser.time = clock = Clock()
    metrics = []
    for row in log["requests"]:
        asked = (ChatCompletionAPIData(messages=[ChatMessage(role="user", content="x")]) if row["chat"]
                 else CompletionAPIData(prompt="x"))
        clock.now, error, info = row["sent_s"], None, None
        try:
            if row["status"] != 200:
                raise RuntimeError("status")
            info = await asked.process_response(Reply(clock, row), types.SimpleNamespace(streaming=True), Words())
        except Exception as failure:
            error = ErrorResponseInfo(error_type=type(failure).__name__, error_msg=str(failure))
            info = asked_nothing()
        metrics.append(RequestLifecycleMetric(scheduled_time=row["sent_s"], start_time=row["sent_s"],
                                              end_time=row["end_s"], request_data="x", info=info, error=error))
    goodput = {{"e2el": "request_latency"}.get(key, key): ms / 1e3 for key, ms in (log.get("goodput") or {}).items()}
    config = types.SimpleNamespace(constraints=goodput) if goodput else None
    # No tokenizer: it would count words of a chunk; the server's count stands for it.
    found = summarize_requests(metrics, [50.0, 99.0], goodput_config=config, use_server_output_tokens=True)
    done = found.successes
    numbers = {"completed": done["count"], "failed": found.failures["count"], "duration": found.benchmark_time_seconds,
               "request_goodput": (done.get("goodput_metrics") or {}).get("request_goodput")}
    for key, value in (done.get("throughput") or {}).items():
        name = {"requests_per_sec": "request_throughput", "output_tokens_per_sec": "output_throughput"}.get(key)
        if name:
            numbers[name] = value
    latency = done["latency"]
    for ours, theirs in [("ttft", "time_to_first_token"), ("tpot", "time_per_output_token"), ("itl", "inter_token_latency"),
                         ("e2el", "request_latency"), ("ntpot", "normalized_time_per_output_token")]:
        of = latency[theirs] or {}
        for name in ["mean", "median", "p99"]:
            if name in of:
                numbers[f"{name}_{ours}_ms"] = of[name] * 1e3
    return {"numbers": numbers}


def asked_nothing():
    from inference_perf.apis import InferenceInfo
    from inference_perf.payloads import RequestMetrics, Text

    return InferenceInfo(request_metrics=RequestMetrics(text=Text(input_tokens=0)))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print("\n" + json.dumps(asyncio.run(replay(json.load(file))), default=str))
