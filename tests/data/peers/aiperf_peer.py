"""AIPerf's own reading of a stream and its metric classes, of the streams of a log of ours.

    python aiperf_peer.py LOG
"""

import json
import logging
import sys

import numpy
import replay_server

# Its name of a metric, ours, and the class in a module of `aiperf.metrics.types`.
METRICS = [("ttft", "ttft_metric", "TTFTMetric"), ("e2el", "request_latency_metric", "RequestLatencyMetric"),
           ("output", "output_sequence_length_metric", "OutputSequenceLengthMetric"),
           ("itl", "inter_token_latency_metric", "InterTokenLatencyMetric"),
           ("inter_chunk_latency", "inter_chunk_latency_metric", "InterChunkLatencyMetric")]


def record(row, endpoints):
    """The request as AIPerf would keep it."""
    from aiperf.common.models import ErrorDetails, ParsedResponseRecord, RequestRecord
    from aiperf.common.models.record_models import SSEMessage, TokenCounts

    start, end = int(row["sent_s"] * 1e9), int(row["end_s"] * 1e9)
    _, chunks, ends = replay_server.plan(row["plan"], row["chat"], row["odd"])
    messages = [SSEMessage.parse(chunk.strip(), start + at * 1000)
                for at, (_, chunk) in zip(row["event_us"], chunks)] if row["status"] == 200 else []
    error = None
    if row["status"] != 200 or not ends:
        error = ErrorDetails(code=row["status"], type="Error", message="no reply, or half of one")
    parsed = [one for one in map(endpoints[row["chat"]].parse_response, messages) if one]
    request = RequestRecord(start_perf_ns=start, timestamp_ns=start, end_perf_ns=end, status=row["status"], responses=messages,
                            error=error, model_name="m")
    usage = [one.usage for one in parsed if one.usage]
    # As with --use-server-token-count.
    output = usage[-1].completion_tokens if usage else row["output"]
    found = ParsedResponseRecord(request=request, responses=parsed,
                                 token_counts=TokenCounts(input=row["input"], output=output))
    found.create_error_from_invalid()
    return found


def replay(log):
    from importlib import import_module

    from aiperf.common.exceptions import NoMetricValue
    from aiperf.endpoints.openai_chat import ChatEndpoint
    from aiperf.endpoints.openai_completions import CompletionsEndpoint
    from aiperf.metrics.metric_dicts import MetricRecordDict, metric_result_from_array

    endpoints = {True: ChatEndpoint.__new__(ChatEndpoint), False: CompletionsEndpoint.__new__(CompletionsEndpoint)}
    for endpoint in endpoints.values():
        endpoint.logger = endpoint._logger = logging.getLogger("aiperf")
        endpoint.debug = lambda *_: None
    metrics = [(ours, getattr(import_module(f"aiperf.metrics.types.{module}"), name)()) for ours, module, name in METRICS]
    values = {ours: [] for ours, _ in metrics}
    first, last, completed, failed, good, inputs = [], [], 0, 0, 0, 0
    goodput = log.get("goodput") or {}
    for row in log["requests"]:
        one = record(row, endpoints)
        if one.has_error:
            failed += 1
            continue
        completed += 1
        inputs += row["input"] or 0
        first.append(one.start_perf_ns)
        last.append(one.content_responses[-1].perf_ns)
        of = MetricRecordDict()
        for ours, metric in metrics:
            try:
                value = metric.parse_record(one, of)
            except NoMetricValue:
                continue
            of[metric.tag] = value
            values[ours].append(value)
        names = {ours: metric.tag for ours, metric in metrics}
        good += all(of.get(names[key], float("inf")) / 1e6 <= ms for key, ms in goodput.items())
    seconds = (max(last) - min(first)) / 1e9
    # Its rates are by its phase, which no class of it computes from records: from the first credit to the last end.
    phase = max(row["end_s"] for row in log["requests"]) - min(row["sent_s"] for row in log["requests"])
    output = sum(values.pop("output"))
    numbers = {"completed": completed, "failed": failed, "duration": seconds, "request_throughput": completed / phase,
               "output_throughput": output / phase, "total_output_tokens": output, "total_input_tokens": inputs,
               "request_goodput": good / phase if goodput else None}
    for ours, found in values.items():
        if found and isinstance(found[0], list):
            found = [gap for gaps in found for gap in gaps]
            # What it prints of lists; its percentiles are from a t-digest, so here from the gaps themselves.
        array = numpy.array(found, dtype=float) / 1e6
        of = metric_result_from_array(ours, ours, "ms", array, float(array.sum()))
        for name, value in [("mean", of.avg), ("median", of.p50), ("std", of.std), ("p99", of.p99)]:
            numbers[f"{name}_{ours}_ms"] = value
    return {"numbers": numbers}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        print("\n" + json.dumps(replay(json.load(file))))
