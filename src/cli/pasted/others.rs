//! Programs that are something else: what to use instead, and where their flags are plain the same
//! load as a line of ours.

use crate::error::Error;

/// What a program is, by the words that call it. Longer names stand before their beginnings.
const OTHERS: &[(&str, What)] = &[
    ("vllm bench latency", What::Alone("vllm serve MODEL", "1")),
    ("vllm bench throughput", What::Alone("vllm serve MODEL", "256")),
    ("vllm bench sweep", What::Instead("`rampant batch --config config.yaml` runs a grid")),
    ("vllm bench startup", What::Instead("rampant loads a server that runs")),
    ("vllm bench mm-processor", What::Instead("rampant loads a server that runs")),
    ("vllm serve", What::Server("8000", "")),
    ("vllm.entrypoints.openai.api_server", What::Server("8000", "")),
    ("sglang.launch_server", What::Server("30000", " --backend sglang")),
    ("sglang.bench_offline_throughput", What::Alone("python3 -m sglang.launch_server", "256")),
    ("sglang.bench_one_batch", What::Alone("python3 -m sglang.launch_server", "1")),
    ("benchmark_throughput.py", What::Alone("vllm serve MODEL", "256")),
    ("benchmark_latency.py", What::Alone("vllm serve MODEL", "1")),
    (
        "benchmark_serving_structured_output.py",
        What::Instead(
            "`rampant single --extra-body '{\"response_format\": {...}}'` asks for structured output",
        ),
    ),
    ("llama-bench", What::Alone("llama-server -m FILE", "1")),
    ("llama-batched-bench", What::Alone("llama-server -m FILE --parallel 8", "8")),
    ("trtllm-bench", What::Alone("trtllm-serve MODEL", "256")),
    (
        "lm_eval",
        What::Instead("rampant measures times and not answers; `request(...)` in a script reads a reply"),
    ),
    (
        "lm-eval",
        What::Instead("rampant measures times and not answers; `request(...)` in a script reads a reply"),
    ),
    ("sglang.bench_one_batch_server", What::Load(&BATCH_SERVER)),
    ("guidellm benchmark run", What::Load(&GUIDELLM)),
    ("guidellm benchmark", What::Load(&GUIDELLM)),
    ("guidellm", What::Load(&GUIDELLM)),
    ("aiperf profile", What::Load(&AIPERF)),
    ("aiperf", What::Load(&AIPERF)),
    ("genai-perf profile", What::Load(&AIPERF)),
    ("genai-perf", What::Load(&AIPERF)),
    ("genai-bench benchmark", What::Load(&GENAI_BENCH)),
    ("genai-bench", What::Load(&GENAI_BENCH)),
    ("evalscope perf", What::Load(&EVALSCOPE)),
    ("inference-benchmarker", What::Load(&INFERENCE_BENCHMARKER)),
    (
        "inference-perf",
        What::Instead(
            "`rampant batch --config config.yaml` runs a grid, and a script runs stages of rates: `rampant docs steps`",
        ),
    ),
    ("token_benchmark_ray.py", What::Load(&LLMPERF)),
    ("llmperf", What::Load(&LLMPERF)),
    (
        "profile_restful_api.py",
        What::Instead("`rampant single --backend lmdeploy --base-url http://127.0.0.1:23333`"),
    ),
    (
        "perf_analyzer",
        What::Instead("`rampant single --base-url http://127.0.0.1:8000 --backend openai-chat`"),
    ),
    ("oha", What::Load(&HTTP)),
    ("hey", What::Load(&HTTP)),
    ("wrk", What::Load(&HTTP)),
    ("wrk2", What::Load(&HTTP)),
    ("ab", What::Load(&HTTP)),
    ("bombardier", What::Load(&HTTP)),
    (
        "vegeta",
        What::Instead("`rampant single --base-url URL --request-rate 10 --duration 30s` sends at a rate"),
    ),
    (
        "k6",
        What::Instead(
            "`rampant run SCRIPT.rhai` runs a scripted load: `rampant script single` prints one to begin with",
        ),
    ),
    (
        "locust",
        What::Instead(
            "`rampant run SCRIPT.rhai` runs a scripted load: `rampant script single` prints one to begin with",
        ),
    ),
];

enum What {
    /// It runs the model in its own process: how to start a server, and the requests in flight.
    Alone(&'static str, &'static str),
    /// It is a server: its port, and more flags.
    Server(&'static str, &'static str),
    /// It loads a server; its flags.
    Load(&'static Flags),
    Instead(&'static str),
}

/// How a program's flags become ours.
struct Flags {
    /// What its defaults are, where ours are others.
    usual: &'static [&'static str],
    flags: &'static [(&'static [&'static str], To)],
}

#[derive(Clone, Copy)]
enum To {
    /// A flag of ours with the same value.
    Same(&'static str),
    /// With something behind the value.
    With(&'static str, &'static str),
    /// The same words whatever its value is.
    Is(&'static [&'static str]),
    /// The address of a server, perhaps with the path of its API.
    Url,
    /// `prompt_tokens=256,output_tokens=128`, a file, or a data set of the hub.
    Data,
    /// The kind of load of GuideLLM, and its number.
    Kind,
    Rate,
    /// `D(256,128)`
    Scenario,
    /// The kind of API.
    Api,
    /// Nothing here, with a value and without one.
    Drop,
    Off,
}
use To::{Api, Data, Drop, Is, Kind, Off, Rate, Same, Scenario, Url, With};

const GUIDELLM: Flags = Flags {
    usual: &[],
    flags: &[
        (&["target"], Url),
        (&["model"], Same("model")),
        (&["processor"], Same("tokenizer")),
        (&["rate-type", "profile"], Kind),
        (&["rate"], Rate),
        (&["max-seconds"], With("duration", "s")),
        (&["max-requests"], Same("num-prompts")),
        (&["data"], Data),
        (&["random-seed"], Same("seed")),
        (&["request-type", "request-format"], Api),
        (
            &["output-path", "output-dir", "outputs", "display-scheduler-stats", "backend", "backend-type"],
            Drop,
        ),
        (&["disable-progress", "disable-console-outputs"], Off),
    ],
};

const AIPERF: Flags = Flags {
    usual: &["--backend", "openai-chat", "--no-stream"],
    flags: &[
        (&["url", "u"], Url),
        (&["model", "m", "model-names"], Same("model")),
        (&["tokenizer"], Same("tokenizer")),
        (&["endpoint-type"], Api),
        (&["endpoint", "custom-endpoint"], Same("endpoint")),
        (&["concurrency"], Same("max-concurrency")),
        (&["request-rate"], Same("request-rate")),
        (&["request-count", "num-requests", "num-prompts"], Same("num-prompts")),
        (&["benchmark-duration"], With("duration", "s")),
        (&["warmup-request-count", "num-warmup-requests"], Same("warmup")),
        (&["synthetic-input-tokens-mean", "isl"], Same("random-input-len")),
        (&["output-tokens-mean", "osl"], Same("random-output-len")),
        (&["random-seed"], Same("seed")),
        (&["header", "h"], Same("header")),
        (&["streaming"], Is(&["--stream"])),
        (&["input-file"], Same("dataset-path")),
        (&["artifact-dir", "output-artifact-dir", "ui", "ui-type", "service-kind", "backend"], Drop),
        (&["verbose", "v"], Off),
    ],
};

const GENAI_BENCH: Flags = Flags {
    usual: &["--backend", "openai-chat"],
    flags: &[
        (&["api-base"], Url),
        (&["api-model-name"], Same("model")),
        (&["model-tokenizer"], Same("tokenizer")),
        (&["num-concurrency"], Same("max-concurrency")),
        (&["max-requests-per-run"], Same("num-prompts")),
        (&["max-time-per-run"], With("duration", "m")),
        (&["traffic-scenario"], Scenario),
        (
            &[
                "api-backend",
                "task",
                "server-engine",
                "server-gpu-type",
                "server-version",
                "server-gpu-count",
            ],
            Drop,
        ),
    ],
};

const EVALSCOPE: Flags = Flags {
    usual: &[],
    flags: &[
        (&["url"], Url),
        (&["model"], Same("model")),
        (&["tokenizer-path"], Same("tokenizer")),
        (&["parallel"], Same("max-concurrency")),
        (&["number", "n"], Same("num-prompts")),
        (&["rate"], Same("request-rate")),
        (&["max-tokens"], Same("random-output-len")),
        (&["max-prompt-length"], Same("random-input-len")),
        (&["seed"], Same("seed")),
        (&["dataset-path"], Same("dataset-path")),
        (&["api", "dataset", "name", "log-every-n-query"], Drop),
        (&["debug"], Off),
    ],
};

const INFERENCE_BENCHMARKER: Flags = Flags {
    usual: &["--backend", "openai-chat"],
    flags: &[
        (&["url"], Url),
        (&["model-name"], Same("model")),
        (&["tokenizer-name"], Same("tokenizer")),
        (&["max-vus"], Same("max-concurrency")),
        (&["duration"], Same("duration")),
        (&["rates"], Same("request-rate")),
        (&["warmup"], Same("warmup")),
        (&["profile", "benchmark-kind"], Drop),
        (&["no-console"], Off),
    ],
};

const LLMPERF: Flags = Flags {
    usual: &["--backend", "openai-chat", "--base-url", "$OPENAI_API_BASE"],
    flags: &[
        (&["model"], Same("model")),
        (&["mean-input-tokens"], Same("random-input-len")),
        (&["mean-output-tokens"], Same("random-output-len")),
        (&["max-num-completed-requests"], Same("num-prompts")),
        (&["num-concurrent-requests"], Same("max-concurrency")),
        (&["llm-api", "results-dir", "timeout"], Drop),
    ],
};

const BATCH_SERVER: Flags = Flags {
    usual: &["--backend", "sglang", "--base-url", "http://127.0.0.1:30000"],
    flags: &[
        (&["base-url"], Url),
        (&["model", "model-path"], Same("model")),
        (&["batch-size", "batch"], Same("max-concurrency")),
        (&["input-len"], Same("random-input-len")),
        (&["output-len"], Same("random-output-len")),
    ],
};

const HTTP: Flags = Flags {
    usual: &[],
    flags: &[
        (&["c", "connections"], Same("max-concurrency")),
        (&["n", "requests"], Same("num-prompts")),
        (&["z", "d", "duration"], Same("duration")),
        (&["q", "r", "rate"], Same("request-rate")),
        (&["t", "threads", "m", "method", "p", "body", "s", "script"], Drop),
        (&["no-tui", "latency"], Off),
    ],
};

/// What to say of the program that is called at the beginning of `words`; `None`: none of these.
/// `leads`: nothing but what starts programs stands before them.
pub fn told(words: &[String], leads: bool) -> Option<Error> {
    let base = |word: &String| word.rsplit('/').next().unwrap_or(word).to_string();
    let called: Vec<String> = words.iter().take(3).map(base).collect();
    let parts = |name: &'static str| name.split(' ').collect::<Vec<_>>();
    let (name, what) = OTHERS.iter().find(|(name, _)| {
        let parts = parts(name);
        // Short names stand for other things as well.
        let own = leads || parts.len() > 1 || name.contains(['.', '-']);
        own && parts.len() <= called.len() && parts.iter().zip(&called).all(|(part, word)| part == word)
    })?;
    let no_load = |hint: String| Error::usage(format!("`{name}` is no load test of a server")).hint(hint);
    Some(match what {
        What::Alone(server, users) => no_load(format!(
            "it runs the model in its own process; start a server (`{server}`) and use `rampant single --max-concurrency {users}`"
        )),
        What::Server(port, more) => no_load(format!(
            "start the server without rampant, then `rampant single --base-url http://127.0.0.1:{port}{more}`"
        )),
        What::Instead(hint) if name.starts_with("vllm") => no_load((*hint).into()),
        What::Instead(hint) => Error::usage(format!("`{name}` is another program")).hint(*hint),
        What::Load(flags) => {
            let line = Line::of(flags, &words[parts(name).len()..]);
            Error::usage(format!("`{name}` is another program")).hint(line.sentence())
        }
    })
}

/// A line of ours that comes near another program's.
#[derive(Default)]
struct Line {
    args: Vec<String>,
    left: Vec<String>,
    kind: Option<String>,
    rate: Option<String>,
}

impl Line {
    fn of(flags: &Flags, words: &[String]) -> Line {
        let mut line = Line::default();
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let dashed = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let Some(flag) = dashed.filter(|flag| flag.starts_with(|c: char| c.is_ascii_alphabetic())) else {
                if word.starts_with("http") {
                    line.put(Url, word);
                }
                continue;
            };
            // `-c100`
            let short = !word.starts_with("--") && flag[1..].starts_with(|c: char| c.is_ascii_digit());
            let parts = if short { Some(flag.split_at(1)) } else { flag.split_once('=') };
            let (name, joined) = parts.map_or((flag, None), |(name, value)| (name, Some(value)));
            let name = name.replace('_', "-").to_lowercase();
            let Some((_, to)) = flags.flags.iter().find(|(names, _)| names.contains(&&*name)) else {
                line.left.push(word.split('=').next().unwrap_or(word).to_string());
                words.next_if(|next| !next.starts_with('-') && !next.starts_with("http"));
                continue;
            };
            let alone = matches!(to, Is(_) | Off);
            let value = joined.or_else(|| words.next_if(|next| !alone && !next.starts_with("--")));
            line.put(*to, value.unwrap_or_default());
        }
        line.rates();
        let mut usual = flags.usual.iter().peekable();
        while let Some(flag) = usual.next() {
            let value = usual.next_if(|value| !value.starts_with("--"));
            let known = |args: &[String]| args.iter().any(|arg| arg == flag);
            let streams = *flag == "--no-stream" && known_flag(&line.args, "--stream");
            if !known(&line.args) && !streams {
                line.args.push((*flag).to_string());
                line.args.extend(value.map(|value| value.to_string()));
            }
        }
        line.args.retain(|arg| arg != "--stream");
        line
    }

    fn flag(&mut self, name: &str, value: &str) {
        self.args.extend([format!("--{name}"), value.to_string()]);
    }

    fn put(&mut self, to: To, value: &str) {
        match to {
            Same(flag) => self.flag(flag, value),
            With(flag, behind) => self.flag(flag, &format!("{value}{behind}")),
            Is(words) => self.args.extend(words.iter().map(|word| word.to_string())),
            Url => {
                let base = value.split("/v1/").next().unwrap_or(value);
                let base = if base.contains("://") { base.to_string() } else { format!("http://{base}") };
                self.flag("base-url", base.trim_end_matches('/'));
                if value.contains("chat/completions") {
                    self.flag("backend", "openai-chat");
                }
            }
            Api if value.contains("chat") => self.flag("backend", "openai-chat"),
            Api => self.flag("backend", "openai"),
            Data => self.data(value),
            Kind => self.kind = Some(value.to_string()),
            Rate => self.rate = Some(value.to_string()),
            Scenario => {
                let inside = value.split_once('(').map_or(value, |(_, rest)| rest).trim_end_matches(')');
                if let Some((input, output)) = inside.split_once(',') {
                    self.flag("random-input-len", input.trim());
                    self.flag("random-output-len", output.trim());
                }
            }
            Drop | Off => {}
        }
    }

    fn data(&mut self, value: &str) {
        let plain = value.trim_matches(['{', '}', ' ']).replace('"', "").replace(':', "=");
        let pairs: Vec<(&str, &str)> = plain.split(',').filter_map(|pair| pair.split_once('=')).collect();
        let of = |name: &str| pairs.iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
        match (of("prompt_tokens"), of("output_tokens")) {
            (None, None) => {
                let file = value.contains('.') && !value.ends_with('/');
                self.flag("dataset-name", if file { "custom" } else { "hf" });
                self.flag("dataset-path", value);
            }
            (input, output) => {
                let lengths = [("random-input-len", input), ("random-output-len", output)];
                lengths.into_iter().for_each(|(flag, value)| {
                    if let Some(value) = value {
                        self.flag(flag, value);
                    }
                });
            }
        }
    }

    fn rates(&mut self) {
        let rate = self.rate.take();
        let first = rate.as_deref().and_then(|rate| rate.split(',').next()).unwrap_or("1").to_string();
        match self.kind.take().as_deref() {
            None if rate.is_none() => {}
            Some("synchronous") => self.flag("max-concurrency", "1"),
            Some("throughput") => self.flag("max-concurrency", "512"),
            Some("concurrent") => self.flag("max-concurrency", &first),
            Some("constant") => {
                self.flag("request-rate", &first);
                self.flag("burstiness", "inf");
            }
            Some("sweep") => {
                self.left.push("--rate-type sweep (one line a rate, or a script: examples/02)".into())
            }
            _ => self.flag("request-rate", &first),
        }
        if rate.is_some_and(|rate| rate.contains(',')) {
            self.left.push("the further rates (one line a rate)".into());
        }
    }

    fn sentence(&self) -> String {
        let words: Vec<String> = self.args.iter().map(|arg| quoted(arg)).collect();
        let address =
            if known_flag(&self.args, "--base-url") { "" } else { " --base-url http://127.0.0.1:8000" };
        let line = if words.is_empty() { String::new() } else { format!(" {}", words.join(" ")) };
        let left = match self.left.is_empty() {
            true => String::new(),
            false => format!(" (without {})", self.left.join(", ")),
        };
        format!("rampant single{address}{line}{left}")
    }
}

fn known_flag(args: &[String], flag: &str) -> bool {
    args.iter().any(|arg| arg == flag)
}

/// As a shell needs it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%$".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
