"""vLLM's own `benchmarks/serve.py` and request functions, without the rest of vLLM.

    python vllm_peer.py replay SOURCE LOG      its numbers of the streams of a log of ours, its clock set to our times
    python vllm_peer.py run SOURCE ARG...      `vllm bench serve ARG...` for real, of the prompts of --dataset-path

SOURCE: a folder that holds `vllm/benchmarks` as its package has it.
"""

import argparse
import asyncio
import dataclasses
import json
import sys
import types

import replay_server


@dataclasses.dataclass
class SampleRequest:
    prompt: str
    prompt_len: int
    expected_output_len: int = 0
    multi_modal_data: object = None
    lora_request: object = None
    request_id: object = None
    timestamp: object = None
    chat_messages: object = None
    request_overrides: object = None


class Words:
    """A tokenizer: a word is a token."""

    def __call__(self, text, add_special_tokens=False):
        return types.SimpleNamespace(input_ids=text.split())


def samples(args, _tokenizer):
    with open(args.dataset_path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file][: args.num_prompts]
    return [SampleRequest(row["prompt"], len(row["prompt"].split()), row["output_tokens"], request_id=f"v-{i}")
            for i, row in enumerate(rows)]


def dataset_arguments(parser):
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-prompts", type=int, default=1000)
    parser.add_argument("--dataset-name", default="custom")
    parser.add_argument("--dataset-path")
    parser.add_argument("--disable-shuffle", action="store_true")
    parser.add_argument("--trust-remote-code", action="store_true")


def stubs(source):
    """What the two files import of the rest of vLLM."""
    def module(name, **members):
        made = types.ModuleType(name)
        vars(made).update(members)
        sys.modules[name] = made
        return made

    top = module("vllm")
    top.__path__ = [f"{source}/vllm"]
    module("vllm.benchmarks.datasets", SampleRequest=SampleRequest, add_dataset_parser=dataset_arguments,
           get_samples=samples)
    module("vllm.tokenizers", TokenizerLike=object, get_tokenizer=lambda *_, **__: Words())
    module("vllm.logger", init_logger=__import__("logging").getLogger)
    module("vllm.utils").__path__ = []
    module("vllm.utils.argparse_utils", FlexibleArgumentParser=argparse.ArgumentParser)
    module("vllm.utils.gc_utils", freeze_gc_heap=lambda: None)
    module("vllm.utils.network_utils", join_host_port=lambda host, port: f"{host}:{port}")


class Clock:
    """Stands in for the module `time` of the request functions."""

    now = 0.0

    def perf_counter(self):
        return self.now


class Reply:
    """What aiohttp would hand over: the bytes of a plan, each at the time at which ours came."""

    def __init__(self, clock, row, aiohttp):
        self.clock, self.row, self.aiohttp = clock, row, aiohttp
        self.status, self.reason, self.content = row["status"] or 0, "Service Unavailable", self

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return False

    async def iter_any(self):
        _, chunks, ends = replay_server.plan(self.row["plan"], self.row["chat"], self.row["odd"])
        for at, (_, chunk) in zip(self.row["event_us"], chunks):
            self.clock.now = self.row["sent_s"] + at / 1e6
            yield chunk
        self.clock.now = self.row["end_s"]
        if not ends:
            raise self.aiohttp.ClientPayloadError("Response payload is not completed")


async def replay(log):
    import aiohttp
    from vllm.benchmarks import serve
    from vllm.benchmarks.lib import endpoint_request_func as functions

    functions.time = clock = Clock()
    outputs = []
    for row in log["requests"]:
        clock.now = row["sent_s"]
        kind = "openai-chat" if row["chat"] else "openai"
        url = "http://x/v1/chat/completions" if row["chat"] else "http://x/v1/completions"
        session = types.SimpleNamespace(post=lambda row=row, **_: Reply(clock, row, aiohttp))
        asked = functions.RequestFuncInput(prompt="x", api_url=url, prompt_len=row["input"] or 0, output_len=1, model="m")
        outputs.append(await functions.ASYNC_REQUEST_FUNCS[kind](asked, session))
    seconds = max(row["end_s"] for row in log["requests"])
    goodput = log.get("goodput") or {}
    found, lengths = serve.calculate_metrics([], outputs, seconds, Words(), [99.0], goodput)
    numbers = {key: value for key, value in dataclasses.asdict(found).items() if not key.startswith("percentiles")}
    for metric in ["ttft", "tpot", "itl", "e2el"]:
        numbers[f"p99_{metric}_ms"] = getattr(found, f"percentiles_{metric}_ms")[0][1]
    numbers["total_input_tokens"], numbers["total_output_tokens"] = numbers.pop("total_input"), numbers.pop("total_output")
    numbers["duration"] = seconds
    if not goodput:
        numbers["request_goodput"] = None
    lists = {"ttfts": [one.ttft for one in outputs], "itls": [one.itl for one in outputs],
             "input_lens": [one.prompt_len for one in outputs], "output_lens": lengths}
    return {"numbers": numbers, "lists": lists}


def main():
    what, source = sys.argv[1:3]
    stubs(source)
    if what == "replay":
        with open(sys.argv[3], encoding="utf-8") as file:
            log = json.load(file)
        # It prints what failed; the last line is ours.
        print("\n" + json.dumps(asyncio.run(replay(log)), default=float))
        return
    from vllm.benchmarks import serve

    parser = argparse.ArgumentParser()
    serve.add_cli_args(parser)
    serve.main(parser.parse_args(sys.argv[3:]))


if __name__ == "__main__":
    main()
