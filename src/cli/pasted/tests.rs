use super::*;
use crate::cli::{command, flags};
use crate::experiment::args::Args;
use crate::experiment::switches::Switches;
use crate::host::Host;
use crate::script::{Script, embedded};

/// The words of a line as a shell makes them: quotes hold together, a backslash before the end of
/// a line joins.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    for c in line.replace("\\\n", " ").chars() {
        match (quote, c) {
            (Some(mark), c) if c == mark => quote = None,
            (None, '\'' | '"') => (quote, open) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (_, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    words
}

fn session(name: &str) -> Script {
    let source = embedded::program(name).unwrap();
    Script::prepare(source, Args::default(), Switches::default(), Host::fake("/", &[])).unwrap()
}

/// What `rampant LINE` means: the parameters that are set, by name and in order, and the note.
fn meaning(line: &str) -> std::result::Result<(String, String), String> {
    let argv: Vec<String> = std::iter::once("rampant".to_string()).chain(words(line)).collect();
    let names: Vec<&str> = command::names().collect();
    let (argv, origin) = super::command(&argv, &names).map_err(|error| error.to_string())?;
    let session = session(&argv[1]);
    let root = command::root(Some(&session));
    let known = flags::known(root.find_subcommand(&argv[1]).unwrap());
    let line = translate(&argv[2..], &known, true, origin).map_err(|error| error.to_string())?;
    let whole: Vec<String> = argv[..2].iter().cloned().chain(line.args).collect();
    let found =
        root.try_get_matches_from(flags::negatives_joined(&whole)).map_err(|error| error.to_string())?;
    let given = flags::given(&session.params, found.subcommand().unwrap().1);
    crate::script::param::check(&session.params, &given).map_err(|error| error.to_string())?;
    let mut shown: Vec<String> =
        given.iter().map(|given| format!("{}={}", given.name, given.texts.join(","))).collect();
    shown.sort();
    Ok((shown.join(" "), line.note.unwrap_or_default()))
}

/// What is wrong with a line of the table, if anything.
fn wrong(line: &str, params: &str, note: &str) -> Option<String> {
    let sorted = |text: &str| {
        let mut words: Vec<String> = text.split_whitespace().map(String::from).collect();
        words.sort_unstable();
        words.join(" ")
    };
    match (meaning(line), note.strip_prefix('!')) {
        (Err(told), Some(sentence)) if told.contains(sentence) => None,
        (Ok((shown, told)), None)
            if sorted(&shown) == sorted(params)
                && told.contains(note)
                && note.is_empty() == told.is_empty() =>
        {
            None
        }
        (got, _) => Some(format!("{line}\n    {got:?}")),
    }
}

/// As people write them into issues and documentation; hosts, models and paths replaced.
#[test]
fn commands_as_they_are_pasted() {
    let table: &[(&str, &str, &str)] = &[
        // Lines of flags behind `rampant single`.
        ("single --model m --num-prompts 1000 --num-prompts 4", "model=m num_prompts=4", ""),
        ("single --served_model_name m --base_url http://h:1", "served_model_name=m base_url=http://h:1", ""),
        ("single --random-input 16 --random-output 8", "random_input_len=16 random_output_len=8", ""),
        ("single --input-len 16 --output-len 8", "input_len=16 output_len=8", ""),
        ("single --num-warmups 2 --label tp8", "warmup=2 label=tp8", ""),
        ("single --ready-check-timeout-sec 5", "ready_timeout=5s", ""),
        (
            "single --trust-remote-code --model m --disable-tqdm",
            "model=m",
            "left out: --trust-remote-code, --disable-tqdm",
        ),
        (
            "single --tokenizer-mode slow --request-id-prefix bench- --model m",
            "model=m",
            "--tokenizer-mode, --request-id-prefix",
        ),
        (
            "single --endpoint-type openai-chat --endpoint /v1/chat/completions",
            "backend=openai-chat endpoint=/v1/chat/completions",
            "",
        ),
        ("single --backend vllm-chat", "backend=openai-chat", "read as: --backend vllm-chat as openai-chat"),
        ("single --request-rate inf --burstiness 0.5", "request_rate=inf burstiness=0.5", ""),
        (
            "single --ramp-up-strategy exponential --ramp-up-start-rps 1 --ramp-up-end-rps 64",
            "ramp_up_strategy=exponential ramp_up_start_rps=1 ramp_up_end_rps=64",
            "",
        ),
        (
            "single --percentile-metrics ttft,tpot,itl,e2el --metric-percentiles 50,90,99",
            "percentile_metrics=ttft,tpot,itl,e2el metric_percentiles=50,90,99",
            "",
        ),
        (
            "single --goodput ttft:200 tpot:20 e2el:2000 --seed 42",
            "goodput=ttft:200,tpot:20,e2el:2000 seed=42",
            "",
        ),
        (
            "single --save-result --save-detailed --result-dir out --result-filename a.json",
            "save_result=true save_detailed=true result_dir=out result_filename=a.json",
            "",
        ),
        ("single --append-result --metadata tp=8 gpu=H100", "append_result=true metadata=tp=8,gpu=H100", ""),
        (
            "single --temperature 0.7 --top-p 0.9 --top-k 20 --min-p 0.05 --repetition-penalty 1.05",
            "temperature=0.7 top_p=0.9 top_k=20 min_p=0.05 repetition_penalty=1.05",
            "",
        ),
        (
            "single --presence-penalty -0.5 --frequency-penalty 0.1",
            "presence_penalty=-0.5 frequency_penalty=0.1",
            "",
        ),
        (
            "single --extra-body '{\"chat_template_kwargs\": {\"enable_thinking\": false}}'",
            "extra_body={\"chat_template_kwargs\": {\"enable_thinking\": false}}",
            "",
        ),
        (
            "single --header x-a=1 x-b=2 --ignore-eos --logprobs 1",
            "header=x-a=1,x-b=2 ignore_eos=true logprobs=1",
            "",
        ),
        (
            "single --dataset-name sharegpt --dataset-path /data/ShareGPT.json --sharegpt-output-len 128",
            "dataset_name=sharegpt dataset_path=/data/ShareGPT.json sharegpt_output_len=128",
            "",
        ),
        (
            "single --dataset-name custom --dataset-path q.jsonl --custom-output-len 256 --skip-chat-template --no-oversample",
            "dataset_name=custom dataset_path=q.jsonl custom_output_len=256 no_oversample=true",
            "--skip-chat-template",
        ),
        (
            "single --dataset-name sonnet --dataset-path sonnet.txt --sonnet-input-len 550 --sonnet-output-len 150 --sonnet-prefix-len 200",
            "dataset_name=sonnet dataset_path=sonnet.txt sonnet_input_len=550 sonnet_output_len=150 sonnet_prefix_len=200",
            "",
        ),
        (
            "single --dataset-name prefix_repetition --prefix-repetition-prefix-len 512 --prefix-repetition-num-prefixes 5",
            "dataset_name=prefix_repetition prefix_repetition_prefix_len=512 prefix_repetition_num_prefixes=5",
            "",
        ),
        (
            "single --random-range-ratio 1.0",
            "random_range_ratio=0",
            "read as: --random-range-ratio 1 as 0, exact lengths",
        ),
        (
            "single --best-of 1 --n 1 --lora-modules a b --lora-assignment random",
            "lora_modules=a,b",
            "--best-of, --n, --lora-assignment",
        ),
        (
            "single --plot-timeline --timeline-itl-thresholds 25 50 --profile",
            "profile=true",
            "--plot-timeline (charts are always drawn), --timeline-itl-thresholds",
        ),
        ("single \u{2013}model m \u{2014}num-prompts 4", "model=m num_prompts=4", ""),
        ("single --model m '\\' --num-prompts 4 ' '", "model=m num_prompts=4", ""),
        ("single --no-stream --host ::1 --port 8000", "no_stream=true host=::1 port=8000", ""),
        (
            "batch --config c.yaml --tokenizer none --disable-tqdm --num_warmups 1",
            "config=c.yaml tokenizer=none warmup=1",
            "--disable-tqdm",
        ),
        (
            "single --percentile-metrics ttft,client_queue_time,e2el --custom-skip-chat-template --probe-request-rate 0",
            "percentile_metrics=ttft,e2el",
            "read as: --percentile-metrics without client_queue_time (queue_delay in the table)",
        ),
        (
            "single --random-range-ratio '{\"input\": 0.25, \"output\": 0.25}' --endpoint /v1/chat/completions",
            "random_range_ratio=0.25 endpoint=/v1/chat/completions",
            "",
        ),
        (
            "single --url http://h:1 --parallel 4 --number 8 --max-seconds 30 --streaming --dataset-name openai",
            "base_url=http://h:1 max_concurrency=4 num_prompts=8 duration=30s dataset_name=custom",
            "--streaming (replies are streams",
        ),
        // Whole lines.
        (
            "vllm bench serve --model m --num-prompts 10 --random-input-len 16 --random-output-len 8 --max-concurrency 2",
            "model=m num_prompts=10 random_input_len=16 random_output_len=8 max_concurrency=2",
            "",
        ),
        (
            "single vllm bench serve --model m --request-rate 4",
            "model=m request_rate=4 num_prompts=1000 random_input_len=1024 random_output_len=128",
            "as `vllm bench serve` has it by default: --random-input-len 1024, --random-output-len 128, --num-prompts 1000",
        ),
        (
            "VLLM_USE_V1=1 vllm bench serve \\\n  --backend vllm \\\n  --model m \\\n  --dataset-name wikitext --no-stream --dataset-path x",
            "",
            "!--dataset-name: must be one of",
        ),
        (
            "vllm bench serve --model m --dataset-name hf --dataset-path org/set --hf-split test --hf-subset a --num-prompts 7",
            "model=m dataset_name=hf dataset_path=org/set hf_split=test hf_subset=a num_prompts=7 max_concurrency=7",
            "--max-concurrency 7 (it has no limit: all prompts at once)",
        ),
        (
            "vllm bench serve --model m --dataset-name sharegpt --dataset-path s.json --no-stream --num-prompts 7",
            "model=m dataset_name=sharegpt dataset_path=s.json num_prompts=7 max_concurrency=7 no_stream=true",
            "not said, and so as `vllm bench serve` has it by default: --max-concurrency 7",
        ),
        (
            "python3 benchmarks/benchmark_serving.py --backend vllm --model m --dataset-path s.json --request-rate 1.0 --num-prompts 200 --trust-remote-code",
            "backend=vllm model=m dataset_path=s.json dataset_name=sharegpt request_rate=1.0 num_prompts=200",
            "as benchmark_serving.py has it by default: --dataset-name sharegpt",
        ),
        (
            "docker exec -it c vllm bench serve --model m --num-prompts 3 --input-len 8 --output-len 4 --max-concurrency 1",
            "model=m num_prompts=3 input_len=8 output_len=4 max_concurrency=1",
            "",
        ),
        (
            "python -m sglang.bench_serving --backend sglang --dataset-name random --random-input 1000 --random-output 100 --random-range-ratio 0.5 --num-prompts 50 --max-concurrency 4",
            "backend=sglang dataset_name=random random_input_len=750 random_output_len=75 random_range_ratio=0.3333 num_prompts=50 max_concurrency=4 port=30000",
            "read as: lengths from n * 0.5 to n",
        ),
        (
            "single python3 -m sglang.bench_serving --backend sglang-oai-chat --host 127.0.0.1 --port 30001 --dataset-name random-ids --random-range-ratio 1.0 --random-input-len 64 --random-output-len 32 --num-prompts 8 --request-rate 2 --output-file out/r.jsonl --flush-cache --disable-ignore-eos",
            "backend=openai-chat host=127.0.0.1 port=30001 dataset_name=random random_input_len=64 random_output_len=32 random_range_ratio=0.0000 num_prompts=8 request_rate=2 save_result=true append_result=true result_dir=out result_filename=r.jsonl natural_length=true",
            "--flush-cache (prompts are new in every run)",
        ),
        (
            "python3 -m sglang.bench_serving --dataset-name generated-shared-prefix --gsp-num-groups 4 --gsp-system-prompt-len 2048 --gsp-question-len 128 --gsp-output-len 256 --num-prompts 64 --warmup-requests 0 --tag x",
            "backend=sglang dataset_name=prefix_repetition prefix_repetition_num_prefixes=4 prefix_repetition_prefix_len=2048 prefix_repetition_suffix_len=128 prefix_repetition_output_len=256 num_prompts=64 max_concurrency=64 warmup=0 label=x port=30000",
            "read as: --dataset-name generated-shared-prefix as prefix_repetition",
        ),
        (
            "python3 llm_bench/main.py single --model m --base-url http://h:8000 --num-prompts 5",
            "model=m base_url=http://h:8000 num_prompts=5",
            "",
        ),
        ("python3 main.py batch --config config.yaml", "config=config.yaml", ""),
        (
            "bench serve --model m --duration 10s --max-concurrency 2",
            "model=m duration=10s max_concurrency=2 random_input_len=1024 random_output_len=128",
            "as `vllm bench serve` has it by default: --random-input-len 1024",
        ),
        (
            "vllm bench serve --model m --num-prompts 4 --max-concurrency 1 --input-len 8 --output-len 8 --random-range-ratio '{\"input\":0.1,\"output\":0.2}'",
            "model=m num_prompts=4 max_concurrency=1 input_len=8 output_len=8 range_ratio_input=0.1 range_ratio_output=0.2",
            "",
        ),
        (
            "single --random-range-ratio='{\"output\":1.0}'",
            "range_ratio_input=0 range_ratio_output=0",
            "--range-ratio-output 1 as 0",
        ),
        (
            "vllm bench serve --model m --dataset-name custom --dataset-path p.jsonl --num-prompts 4 --max-concurrency 1",
            "model=m dataset_name=custom dataset_path=p.jsonl num_prompts=4 max_concurrency=1 custom_output_len=256",
            "--custom-output-len 256",
        ),
        (
            "python3 -m sglang.bench_serving --dataset-name generated-shared-prefix --gsp-num-groups 4 --gsp-prompts-per-group 8 --gsp-range-ratio 1.0 --gsp-fast-prepare --max-concurrency 2",
            "backend=sglang port=30000 dataset_name=prefix_repetition prefix_repetition_num_prefixes=4 prefix_repetition_prefix_len=2048 prefix_repetition_suffix_len=128 prefix_repetition_output_len=256 num_prompts=32 max_concurrency=2",
            "8 prompts in each of 4 groups as --num-prompts 32",
        ),
        (
            "single --dataset-name generated-shared-prefix --gsp-prompts-per-group 3",
            "dataset_name=prefix_repetition num_prompts=30",
            "3 prompts in each of 10 groups as --num-prompts 30",
        ),
        // What shells, browsers and word processors leave in a line.
        (
            "VLLM_USE_V1=1 CUDA_VISIBLE_DEVICES=0,1 vllm bench serve \\\r\n  --model=m \\\r\n  --num_prompts=3 --input-len 8 --output-len 4 --max-concurrency 1\r\n",
            "model=m num_prompts=3 input_len=8 output_len=4 max_concurrency=1",
            "",
        ),
        (
            "single --model 'a b' --label=\"tp 8\" --metadata 'k=v w' --no-ignore-eos --no-trust-remote-code",
            "model=a b label=tp 8 metadata=k=v w",
            "left out: --no-ignore-eos, --no-trust-remote-code",
        ),
        ("single --num-prompts=1 --num_prompts 2 --num-prompt 3", "num_prompts=3", ""),
        ("single --goodput ttft:1 --goodput tpot:2 e2el:3", "goodput=ttft:1,tpot:2,e2el:3", ""),
    ];
    let wrong: Vec<String> =
        table.iter().filter_map(|(line, params, note)| wrong(line, params, note)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(table.len() >= 40, "{}", table.len());
}

#[test]
fn what_cannot_be_had_is_refused_by_name_with_what_to_use_instead() {
    for (line, sentence) in [
        (
            "single --use-beam-search",
            "--use-beam-search is not available here\n  try: --extra-body '{\"use_beam_search\": true}'",
        ),
        ("single --best-of 4", "--best-of 4 is not available here\n  try: --extra-body '{\"best_of\": N}'"),
        (
            "single --dataset s.json",
            "--dataset is not available here\n  try: --dataset-name sharegpt --dataset-path FILE",
        ),
        (
            "single --dataset-name random-mm",
            "--dataset-name random-mm is not available here\n  try: record prompts",
        ),
        (
            "single --random-mm-base-items-per-request 2",
            "--random-mm-base-items-per-request is not available here",
        ),
        ("single --backend openai-embeddings-chat", "--backend openai-embeddings-chat is not available here"),
        (
            "single --tensor_parallel_size 8",
            "--tensor-parallel-size is not available here\n  try: it is an option of the server",
        ),
        ("single --api-key sk-1", "OPENAI_API_KEY=... rampant single"),
        ("single --config c.yaml", "`rampant batch --config FILE`"),
        ("single --num 5", "--num is the beginning of several flags: --num-prompts, --num-warmups"),
        ("single --ramp-up-s linear", "--ramp-up-start-rps, --ramp-up-strategy"),
        ("single --max-concurency 4", "unexpected argument '--max-concurency' found"),
        ("single --ready-check-timeout-sec", "a value is required for '--ready-check-timeout-sec'"),
        (
            "single --random-range-ratio '{\"in\": 1}'",
            "--random-range-ratio: has \"input\" and \"output\", got \"in\"",
        ),
        (
            "single --random-range-ratio '{\"input\": \"a\"}'",
            "--random-range-ratio: \"input\" must be a number, got \"a\"",
        ),
        ("single --gsp-prompts-per-group x", "--gsp-prompts-per-group: must be a whole number"),
        ("single --gsp-num-turns 3", "--gsp-num-turns 3 is not available here"),
        ("vllm bench throughput --model m", "`vllm bench throughput` is no load test of a server"),
        ("vllm bench latency --model m", "`vllm bench latency` is no load test of a server"),
        ("vllm serve m --port 8000", "`vllm serve` is no load test of a server"),
        ("python3 -m sglang.launch_server --model-path m", "`sglang.launch_server` is no load test"),
        (
            "OPENAI_API_KEY=sk-1 vllm bench serve --model m",
            "put it in front: OPENAI_API_KEY=... rampant single",
        ),
        ("sglang.bench_serving --random-range-ratio 2 --dataset-name random", "--random-range-ratio"),
        ("vllm bench serve --model m --apply-chat-template", "--backend openai-chat"),
        ("single --num-prompts -1", "--num-prompts -1 is not available here\n  try: say how many"),
        (
            "single --endpoint /v1/embeddings",
            "--endpoint /v1/embeddings is another API\n  try: rampant measures",
        ),
        (
            "single --endpoint /v1/responses",
            "--endpoint /v1/responses is another API\n  try: --backend openai-chat",
        ),
        ("single --probe-request-rate 20", "--probe-request-rate 20 is not available here\n  try: a mix"),
        ("single --lora-assignment round-robin", "--lora-assignment round-robin is not available here"),
    ] {
        let told = meaning(line).map(|(params, _)| params).expect_err(line);
        assert!(told.contains(sentence), "{line}\n{told}");
    }
}

#[test]
fn every_flag_of_theirs_that_we_take_leads_to_one_of_ours() {
    let session = session("single");
    let root = command::root(Some(&session));
    let known = flags::known(root.find_subcommand("single").unwrap());
    let is_ours = |flag: &str| known.iter().any(|known| known.flag == flag);
    for (name, meaning) in table::FLAGS {
        assert!(
            !name.contains('_') && table::FLAGS.iter().filter(|(other, _)| other == name).count() == 1,
            "{name}"
        );
        match meaning {
            FlagMeaning::Same(flag) | FlagMeaning::Seconds(flag) => assert!(is_ours(flag), "{name}: {flag}"),
            FlagMeaning::Is(args) => assert!(is_ours(args[0].trim_start_matches("--")), "{name}: {args:?}"),
            FlagMeaning::PerGroup => {
                assert!(is_ours("num-prompts") && is_ours("prefix-repetition-num-prefixes"))
            }
            FlagMeaning::File => assert!(is_ours("result-dir") && is_ours("result-filename")),
            FlagMeaning::Nothing(..) => assert!(!is_ours(name), "{name} has a meaning"),
            FlagMeaning::NothingIf(_, instead) | FlagMeaning::Instead(instead) => {
                assert!(!instead.is_empty())
            }
        }
    }
}

#[test]
fn our_own_commands_are_not_taken_for_another_programs() {
    for line in
        ["script single", "run bench_serving.py", "check vllm", "docs serve", "--help", "engine --port 0"]
    {
        let argv: Vec<String> = std::iter::once("rampant".to_string()).chain(words(line)).collect();
        let names: Vec<&str> = command::names().collect();
        assert_eq!(super::command(&argv, &names).unwrap(), (argv, FlagOrigin::Ours), "{line}");
    }
}

#[test]
fn every_flag_that_their_benchmarks_have_today_is_known() {
    let vllm = "trust-remote-code seed num-prompts dataset-name no-stream dataset-path no-oversample skip-chat-template \
        enable-multimodal-chat disable-shuffle custom-output-len custom-ensure-client-side-data spec-bench-output-len \
        spec-bench-category sonnet-input-len sonnet-output-len sonnet-prefix-len sharegpt-output-len \
        timed-trace-chunk-hash-size timed-trace-sec-multiplier timed-trace-label-timestamp \
        timed-trace-label-input-length timed-trace-label-output-length timed-trace-label-hash-ids \
        blazedit-min-distance blazedit-max-distance asr-max-audio-len-sec asr-min-audio-len-sec random-input-len \
        random-output-len random-range-ratio random-prefix-len random-batch-size no-reranker \
        random-mm-base-items-per-request random-mm-num-mm-items-range-ratio random-mm-limit-mm-per-prompt \
        random-mm-bucket-config hf-subset hf-split hf-name hf-output-len bfcl-categories \
        prefix-repetition-prefix-len prefix-repetition-suffix-len prefix-repetition-num-prefixes \
        prefix-repetition-output-len speed-bench-dataset-subset speed-bench-output-len speed-bench-category label \
        backend base-url host port endpoint header max-concurrency model input-len output-len tokenizer \
        tokenizer-mode use-beam-search logprobs request-rate burstiness probe-request-rate disable-tqdm num-warmups \
        profile save-result save-detailed append-result metadata result-dir result-filename ignore-eos self-timed \
        percentile-metrics metric-percentiles goodput request-id-prefix top-p top-k min-p temperature \
        frequency-penalty presence-penalty repetition-penalty served-model-name lora-modules lora-assignment \
        ramp-up-strategy ramp-up-start-rps ramp-up-end-rps ready-check-timeout-sec chat-template-kwargs extra-body \
        skip-tokenizer-init insecure plot-timeline timeline-itl-thresholds plot-dataset-stats endpoint-type";
    let sglang = "output-file output-details print-requests disable-stream return-logprob top-logprobs-num \
        token-ids-logprob logprob-start-len disable-ignore-eos extra-request-body apply-chat-template plot-throughput \
        profile-activities profile-start-step profile-steps profile-num-steps profile-by-stage profile-output-dir \
        profile-prefix profile-prefill-url profile-decode-url lora-name lora-request-distribution lora-zipf-alpha \
        prompt-suffix pd-separated flush-cache warmup-requests tokenize-prompt gsp-num-groups gsp-prompts-per-group \
        gsp-system-prompt-len gsp-question-len gsp-output-len gsp-range-ratio gsp-fast-prepare gsp-num-turns \
        gsp-ordered gsp-send-routing-key mooncake-slowdown-factor mooncake-num-rounds mooncake-workload \
        mooncake-block-size sharegpt-context-len image-count image-resolution image-format image-content \
        use-trace-timestamps fake-prefill tag";
    let session = session("single");
    let root = command::root(Some(&session));
    let known = flags::known(root.find_subcommand("single").unwrap());
    let unknown: Vec<&str> = vllm
        .split_whitespace()
        .chain(sglang.split_whitespace())
        .filter(|flag| !known.iter().any(|known| known.is_called(flag)) && table::meaning(flag).is_none())
        .collect();
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn another_programs_line_is_told_with_the_nearest_of_ours() {
    for (line, told) in [
        (
            "guidellm benchmark --target http://h:8000 --rate-type constant --rate 4 --max-seconds 30 --data prompt_tokens=256,output_tokens=128",
            "`guidellm benchmark` is another program\n  try: rampant single --base-url http://h:8000 --duration 30s --random-input-len 256 --random-output-len 128 --request-rate 4 --burstiness inf",
        ),
        (
            "guidellm benchmark run --target http://h:8000/v1/ --profile concurrent --rate 8,16 --max-requests 100 --data '{\"prompt_tokens\": 32, \"output_tokens\": 8}' --model m --processor /m --warmup 0.1",
            "rampant single --base-url http://h:8000 --num-prompts 100 --random-input-len 32 --random-output-len 8 --model m --tokenizer /m --max-concurrency 8 (without --warmup, the further rates (one line a rate))",
        ),
        (
            "guidellm benchmark --target=http://h --rate-type=sweep --data=prompts.jsonl",
            "rampant single --base-url http://h --dataset-name custom --dataset-path prompts.jsonl (without --rate-type sweep",
        ),
        (
            "aiperf profile -m m --url h:8000 --endpoint-type chat --concurrency 10 --request-count 100 --synthetic-input-tokens-mean 550 --output-tokens-mean 150 --streaming",
            "`aiperf profile` is another program\n  try: rampant single --model m --base-url http://h:8000 --backend openai-chat --max-concurrency 10 --num-prompts 100 --random-input-len 550 --random-output-len 150",
        ),
        (
            "genai-perf profile -m m -u localhost:8000 --endpoint-type completions --request-rate 5 --synthetic-input-tokens-stddev 0 --benchmark-duration 60",
            "rampant single --model m --base-url http://localhost:8000 --backend openai --request-rate 5 --duration 60s --no-stream (without --synthetic-input-tokens-stddev)",
        ),
        (
            "genai-bench benchmark --api-backend openai --api-base http://h:8000 --api-model-name m --num-concurrency 4 --traffic-scenario 'D(100,200)' --max-time-per-run 2",
            "rampant single --base-url http://h:8000 --model m --max-concurrency 4 --random-input-len 100 --random-output-len 200 --duration 2m --backend openai-chat",
        ),
        (
            "evalscope perf --url http://h:8000/v1/chat/completions --parallel 5 --number 20 --model m --api openai",
            "rampant single --base-url http://h:8000 --backend openai-chat --max-concurrency 5 --num-prompts 20 --model m",
        ),
        (
            "python token_benchmark_ray.py --model m --mean-input-tokens 550 --mean-output-tokens 150 --num-concurrent-requests 2",
            "rampant single --model m --random-input-len 550 --random-output-len 150 --max-concurrency 2 --backend openai-chat --base-url $OPENAI_API_BASE",
        ),
        (
            "python3 -m sglang.bench_one_batch_server --model m --base-url http://h:30000 --batch-size 16 --input-len 1024 --output-len 8",
            "`sglang.bench_one_batch_server` is another program\n  try: rampant single --model m --base-url http://h:30000 --max-concurrency 16 --random-input-len 1024 --random-output-len 8 --backend sglang",
        ),
        (
            "oha -c 50 -n 200 http://h:8000/v1/completions",
            "rampant single --max-concurrency 50 --num-prompts 200 --base-url http://h:8000",
        ),
        (
            "wrk -t4 -c100 -d30s http://h:8000",
            "try: rampant single --max-concurrency 100 --duration 30s --base-url http://h:8000",
        ),
        ("k6 run load.js", "`k6` is another program\n  try: `rampant run SCRIPT.rhai`"),
        ("llmperf", "`llmperf` is another program\n  try: rampant single"),
        (
            "python3 -m vllm.something --x",
            "`python3 -m vllm.something` is no command of rampant\n  try: `rampant single",
        ),
        ("single FOO=1 python experiment.py --x", "`python experiment.py` is no command of rampant"),
    ] {
        let got = meaning(line).map(|(params, _)| params).expect_err(line);
        assert!(got.contains(told), "{line}\n{got}");
        assert!(!got.contains("subcommand") && got.lines().count() <= 2, "{got}");
    }
    // A container may have the name of a program.
    assert!(meaning("docker exec -it ab vllm bench serve --model m --num-prompts 1").is_ok());
}
