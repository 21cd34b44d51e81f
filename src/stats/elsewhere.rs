//! `ELSEWHERE`: how other tools define what a metric of ours is about, and under which name.

use super::metric::Metric;

/// A metric in one or two full sentences, and what others make of it.
pub struct Definition {
    pub metric: Metric,
    /// English and Chinese.
    pub definition: [&'static str; 2],
    pub tools: &'static [Elsewhere],
}

/// What one tool prints.
pub struct Elsewhere {
    pub tool: &'static str,
    /// Its name there; empty where it has none.
    pub name: &'static str,
    /// English and Chinese.
    pub says: [&'static str; 2],
}

const fn of(
    tool: &'static str,
    name: &'static str,
    english: &'static str,
    chinese: &'static str,
) -> Elsewhere {
    Elsewhere { tool, name, says: [english, chinese] }
}

const fn vllm(name: &'static str, english: &'static str, chinese: &'static str) -> Elsewhere {
    of("vLLM bench", name, english, chinese)
}

const fn guidellm(name: &'static str, english: &'static str, chinese: &'static str) -> Elsewhere {
    of("GuideLLM", name, english, chinese)
}

const fn aiperf(name: &'static str, english: &'static str, chinese: &'static str) -> Elsewhere {
    of("AIPerf", name, english, chinese)
}

const fn inference_perf(name: &'static str, english: &'static str, chinese: &'static str) -> Elsewhere {
    of("inference-perf", name, english, chinese)
}

/// In the order of the metrics.
pub static ELSEWHERE: &[Definition] = &[
    Definition {
        metric: Metric::Ttft,
        definition: [
            "First event that holds output of any kind (reasoning, content or tool text; never a role-only or \
             empty event) - sent. The connection is opened before `sent`.",
            "第一个含任何输出（思考、正文或工具文本；不含仅角色或空事件）的事件时刻 - 发出时刻。建立连接在发出之前，不计入。",
        ],
        tools: &[
            vllm(
                "ttft",
                "first event with output, or with empty text and no role - start (in versions 0.9 to 0.11 any event with \
                 `choices`, so the role event of a chat); a new TCP connection is inside it",
                "第一个含输出或含空文本且无角色的事件 - 开始（0.9 至 0.11 版为任何含 `choices` 的事件，含聊天的角色事件）；新建 TCP 连接计入其中",
            ),
            guidellm(
                "time_to_first_token_ms",
                "first event with text, reasoning or tool calls - request start",
                "第一个含文本、思考或工具调用的事件 - 请求开始",
            ),
            aiperf(
                "time_to_first_token",
                "first response with data (reasoning counts) - request start",
                "第一个含数据的响应（思考算）- 请求开始",
            ),
            inference_perf(
                "time_to_first_token",
                "first event with `text` or `delta.content` - start: reasoning and tool text do not count; none \
                 where there is only one such token",
                "第一个含 `text` 或 `delta.content` 的事件 - 开始：思考与工具文本不算；只有一个此类令牌时没有该值",
            ),
        ],
    },
    Definition {
        metric: Metric::Ttfo,
        definition: [
            "First event with content that is not reasoning - sent.",
            "第一个含正文（非思考）的事件时刻 - 发出时刻。",
        ],
        tools: &[
            guidellm("time_to_first_output_token_ms", "the same", "相同"),
            aiperf(
                "time_to_first_output_token",
                "the same, and tool calls count as output",
                "相同，且工具调用算作输出",
            ),
            inference_perf(
                "",
                "its time_to_first_token is this, as it does not see reasoning",
                "其 time_to_first_token 即此值，因为它不读思考",
            ),
        ],
    },
    Definition {
        metric: Metric::ItlRequest,
        definition: [
            "The mean gap between output events of a request, so that long replies do not outweigh short ones.",
            "一个请求的输出事件间的平均间隔，长回复不会压过短回复。",
        ],
        tools: &[
            guidellm(
                "inter_token_latency_ms",
                "(last - first token) / (n - 1) of a request, weighted by n - 1 in mean and percentiles",
                "单个请求的（末令牌 - 首令牌）/（n - 1），均值与百分位数按 n - 1 加权",
            ),
            aiperf(
                "inter_token_latency",
                "(request latency - ttft) / (n - 1), one value a request, not weighted",
                "（请求延迟 - ttft）/（n - 1），每个请求一个值，不加权",
            ),
        ],
    },
    Definition {
        metric: Metric::ItlToken,
        definition: [
            "Each gap divided by the tokens of its later event, where the server tells tokens of events. It \
             smooths bursts.",
            "每个间隔除以后一事件的令牌数（服务器告知每事件令牌数时）。它会抹平突发。",
        ],
        tools: &[inference_perf(
            "inter_token_latency",
            "every token of an event gets its arrival: the first one the whole gap, the others 0",
            "事件中的每个令牌都取其到达时刻：第一个得到整个间隔，其余为 0",
        )],
    },
    Definition {
        metric: Metric::Tpot,
        definition: [
            "(Last output event - first output event) / (n - k1): n output tokens, k1 those of the first output \
             event (1 unless the server says). Only where n > k1 and there is a second output event.",
            "（末输出事件 - 首输出事件）/（n - k1）：n 为输出令牌数，k1 为首输出事件的令牌数（服务器未说明时为 1）。仅当 n > k1 且有第二个输出事件。",
        ],
        tools: &[
            vllm(
                "tpot",
                "(latency - ttft) / (n - 1), n > 1; with n <= 1 it is 0 for goodput alone",
                "（延迟 - ttft）/（n - 1），n > 1；n <= 1 时仅对 goodput 记为 0",
            ),
            guidellm(
                "time_per_output_token_ms",
                "(last token - start) / n: the first token is inside; weighted by n",
                "（末令牌 - 开始）/ n：含首令牌；按 n 加权",
            ),
            aiperf(
                "",
                "none; its inter_token_latency is this, with k1 where usage of chunks is asked for",
                "无；其 inter_token_latency 即此值，要求按块 usage 时用 k1",
            ),
            inference_perf(
                "time_per_output_token",
                "(last - first token) / (n - 1), of content alone",
                "（末令牌 - 首令牌）/（n - 1），仅正文",
            ),
        ],
    },
    Definition {
        metric: Metric::Ntpot,
        definition: ["e2el divided by the output tokens.", "e2el 除以输出令牌数。"],
        tools: &[
            inference_perf(
                "normalized_time_per_output_token",
                "(end of the response - start) / n, 0 where there is no token",
                "（响应结束 - 开始）/ n，没有令牌时为 0",
            ),
            guidellm(
                "",
                "its time_per_output_token_ms is nearly this",
                "其 time_per_output_token_ms 与此相近",
            ),
        ],
    },
    Definition {
        metric: Metric::E2el,
        definition: [
            "Last event that holds output - sent; usage and [DONE] do not extend it. Without output: the finish \
             event. Not streamed: the last byte of the body.",
            "末个含输出的事件时刻 - 发出时刻；usage 与 [DONE] 不延长它。无输出时取结束事件；非流式取正文最后一字节。",
        ],
        tools: &[
            vllm(
                "e2el",
                "last event with output, or with empty text - start: an empty finish event extends it",
                "末个含输出或空文本的事件 - 开始：空的结束事件会延长它",
            ),
            guidellm("request_latency", "end of the stream - start, in seconds", "流结束 - 开始，单位秒"),
            aiperf("request_latency", "last response with data - start", "末个含数据的响应 - 开始"),
            inference_perf(
                "request_latency",
                "end of the handling of the response - start, in seconds",
                "响应处理结束 - 开始，单位秒",
            ),
        ],
    },
    Definition {
        metric: Metric::ResponseTtft,
        definition: [
            "First output event - planned: what a user waits whose request was due then, the wait under \
             `max_in_flight` included. In an open loop objectives judge this one.",
            "首输出事件 - 计划时刻：按计划到来的用户所等的时间，含并发上限处的等待。开环时目标以此评判。",
        ],
        tools: &[vllm("", "the wait for its semaphore is in no latency", "信号量处的等待不计入任何延迟")],
    },
    Definition {
        metric: Metric::ResponseE2el,
        definition: ["Last output event - planned: waiting included.", "末输出事件 - 计划时刻：含等待。"],
        tools: &[
            vllm("", "the wait for its semaphore is in no latency", "信号量处的等待不计入任何延迟"),
            guidellm(
                "request_scheduled_latency",
                "end of the stream - targeted start",
                "流结束 - 目标开始时刻",
            ),
        ],
    },
    Definition {
        metric: Metric::QueueDelay,
        definition: [
            "Sent - planned: waiting under `max_in_flight`, connecting and our own lateness.",
            "发出 - 计划：含并发上限处的等待、建立连接与自身滞后。",
        ],
        tools: &[
            guidellm("request_dispatch_delay", "request start - targeted start", "请求开始 - 目标开始时刻"),
            inference_perf("schedule_delay", "start - scheduled time", "开始 - 计划时刻"),
        ],
    },
    Definition {
        metric: Metric::OutputTpsPerUser,
        definition: [
            "1000 / tpot of a request: how fast one user reads.",
            "单个请求的 1000 / tpot：一个用户看到的速度。",
        ],
        tools: &[
            aiperf(
                "output_token_throughput_per_user",
                "1 / inter_token_latency of a request",
                "单个请求的 1 / inter_token_latency",
            ),
            guidellm(
                "output_tokens_per_second",
                "per request n / latency, the first token's wait included",
                "单个请求 n / 延迟，含首令牌等待",
            ),
        ],
    },
    Definition {
        metric: Metric::InputTokens,
        definition: [
            "The server's usage.prompt_tokens, else the tokenizer's count; the asked length never stands in.",
            "服务器的 usage.prompt_tokens，否则为分词器计数；不以请求长度代替。",
        ],
        tools: &[
            vllm(
                "total_input_tokens",
                "usage.prompt_tokens since 2026, before that the asked length; sum of successes",
                "2026 年起为 usage.prompt_tokens，此前为请求长度；成功请求之和",
            ),
            aiperf(
                "input_sequence_length",
                "its own tokenizer's count unless the server's is asked for",
                "默认用自己的分词器计数",
            ),
            guidellm("prompt_tokens", "the server's usage, else its tokenizer", "服务器 usage，否则分词器"),
        ],
    },
    Definition {
        metric: Metric::OutputTokens,
        definition: [
            "The server's usage.completion_tokens, else the tokenizer's count, else the number of output events \
             (an estimate, told). `rate`: tokens that arrived in the window from successes, by its seconds.",
            "服务器的 usage.completion_tokens，否则为分词器计数，再否则为输出事件数（估计，会说明）。`rate`：窗口内到达的成功请求令牌数除以窗口秒数。",
        ],
        tools: &[
            vllm(
                "output_throughput",
                "all tokens of successes / (time from the begin to the end of the last request)",
                "成功请求全部令牌 /（从开始到最后一个请求结束的时间）",
            ),
            guidellm(
                "output_tokens_per_second_mean",
                "tokens spread evenly from the first to the last, by the measured time",
                "令牌在首末之间均匀分布，除以测量时间",
            ),
            aiperf(
                "output_token_throughput",
                "tokens / (last response with data - first start); its own tokenizer by default",
                "令牌数 /（末个含数据响应 - 首个开始）；默认用自己的分词器",
            ),
            inference_perf(
                "output_tokens_per_sec",
                "tokens of successes / (last end - first start), failures included in the time",
                "成功请求令牌数 /（最后结束 - 最先开始），时间含失败请求",
            ),
        ],
    },
    Definition {
        metric: Metric::TotalTokens,
        definition: [
            "Input and output tokens of a request. `rate`: those that arrived in the window; an input counts \
             when its first token arrives.",
            "一个请求的输入与输出令牌数之和。`rate`：窗口内到达的；输入在其首令牌到达时计入。",
        ],
        tools: &[
            vllm("total_token_throughput", "both sums / whole time", "两个总和 / 总时间"),
            guidellm("tokens_per_second", "both, by the measured time", "两者之和除以测量时间"),
            inference_perf("total_tokens_per_sec", "both sums / whole time", "两个总和 / 总时间"),
        ],
    },
    Definition {
        metric: Metric::Itl,
        definition: [
            "Gaps between successive output events, pooled over all requests. Per event: a server may put several \
             tokens into one (speculative decoding), so it is no time per token.",
            "相邻输出事件之间的间隔，汇总全部请求。按事件计：服务器可能把多个令牌放入一个事件（投机解码），因此不是每令牌时间。",
        ],
        tools: &[
            vllm(
                "itl",
                "gaps between events with output or with empty text, pooled: a finish event may have one, too",
                "含输出或空文本的事件之间的间隔，汇总：结束事件也可能产生间隔",
            ),
            guidellm(
                "",
                "its inter_token_latency_ms is a mean of a request: see `itl_request`",
                "其 inter_token_latency_ms 是单个请求的均值，见 `itl_request`",
            ),
            aiperf(
                "inter_chunk_latency",
                "the same, percentiles from a t-digest; its inter_token_latency is a mean of a request",
                "相同，百分位数取自 t-digest；其 inter_token_latency 是单个请求的均值",
            ),
            inference_perf(
                "",
                "its inter_token_latency has a gap of 0 between tokens of one event: see `itl_token`",
                "其 inter_token_latency 在同一事件的令牌间为 0：见 `itl_token`",
            ),
        ],
    },
    Definition {
        metric: Metric::Requests,
        definition: [
            "count: requests planned in the window. rate (request_throughput): successes that ended in it, by its \
             seconds.",
            "count：窗口内计划的请求。rate（request_throughput）：窗口内完成的成功请求除以窗口秒数。",
        ],
        tools: &[
            vllm(
                "completed",
                "successes; request_throughput: by the time to the end of the last one",
                "成功请求数；request_throughput：除以到最后一个结束的时间",
            ),
            guidellm("requests_per_second", "successes by the measured time", "成功请求数除以测量时间"),
            aiperf(
                "request_count",
                "successes; request_throughput: by (last response - first start)",
                "成功请求数；request_throughput：除以（末响应 - 首开始）",
            ),
            inference_perf(
                "requests_per_sec",
                "successes / (last end - first start)",
                "成功请求数 /（最后结束 - 最先开始）",
            ),
        ],
    },
    Definition {
        metric: Metric::Errors,
        definition: [
            "Requests planned in the window that did not succeed: failed, dropped, cut off, cancelled. Status 200 \
             and [DONE] do not make a success.",
            "窗口内计划而未成功的请求：失败、丢弃、截断、取消。状态 200 与 [DONE] 并不等于成功。",
        ],
        tools: &[
            vllm(
                "failed",
                "status, transport, or no output; an error in the stream, or no finish reason, counts as success",
                "状态、传输错误或没有输出；流中的错误或缺少结束原因算成功",
            ),
            guidellm(
                "errored",
                "status, transport, an error in the stream, neither output nor tokens counted",
                "状态、传输错误、流中的错误，或既无输出也无令牌计数",
            ),
            aiperf("error_request_count", "requests with an error or without data", "有错误或没有数据的请求"),
            inference_perf("failures", "requests that raised an error", "抛出错误的请求"),
        ],
    },
    Definition {
        metric: Metric::Goodput,
        definition: [
            "Requests that met every limit; share of all that were planned, failures included. A tpot limit \
             ignores a request with one token.",
            "满足全部限制的请求；占全部计划请求（含失败）的比例。tpot 限制不管只有一个令牌的请求。",
        ],
        tools: &[
            vllm(
                "request_goodput",
                "per second; tpot of a request with one token is 0, so it is good; no share",
                "每秒；单令牌请求的 tpot 为 0，因此算好；没有比例",
            ),
            aiperf(
                "good_request_fraction",
                "share of successes and errors; a missing value is not good",
                "占成功与错误之和的比例；缺失值不算好",
            ),
            guidellm(
                "request_goodput",
                "per second; its tpot is judged by its inter_token_latency_ms; a missing value is left out",
                "每秒；tpot 按其 inter_token_latency_ms 评判；缺失值不计入",
            ),
            inference_perf("goodput_percentage", "share of successes alone, in %", "仅占成功请求的百分比"),
        ],
    },
    Definition {
        metric: Metric::Concurrency,
        definition: [
            "Requests between `sent` and `end`, by a sweep over real times; \
             waiting under `max_in_flight` is not in it.",
            "处于发出与结束之间的请求数，按真实时间扫描；不含并发上限处的等待。",
        ],
        tools: &[
            vllm("max_concurrent_requests", "the peak of successes alone", "仅成功请求的峰值"),
            guidellm("request_concurrency", "distribution over time", "随时间的分布"),
        ],
    },
    Definition {
        metric: Metric::Duration,
        definition: [
            "The window: from the end of the warm-up to the last planned request's end or the duration. \
             Throughputs are by it.",
            "测量窗口：从预热结束到最后计划请求结束或给定时长。吞吐量以此为分母。",
        ],
        tools: &[
            vllm("duration", "from the begin to the end of the last request", "从开始到最后一个请求结束"),
            aiperf(
                "benchmark_duration",
                "last response with data - first start",
                "末个含数据响应 - 首个开始",
            ),
            inference_perf(
                "benchmark_time_seconds",
                "last end - first start, failures included",
                "最后结束 - 最先开始，含失败",
            ),
        ],
    },
];
