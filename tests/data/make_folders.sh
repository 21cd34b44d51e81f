#!/usr/bin/env bash
# Makes results folders by different commands, for what reads them together: make_folders.sh RAMPANT FOLDER
set -euo pipefail

rampant=$(realpath "$1")
mkdir -p "$2" && cd "$2"

# serve CONFIG COMMAND...: the command against a built-in server of its own; URL is its address.
serve() {
    local config=$1 lines=engine.log input
    shift
    mkfifo stop && : > "$lines"
    "$rampant" engine --port 0 --until-stdin-closes --config "$config" < stop > "$lines" &
    exec {input}> stop
    until grep -q '^listening on ' "$lines"; do kill -0 $! && sleep 0.05; done
    URL=$(sed -n 's/^listening on //p' "$lines")
    "$@" >> commands.log 2>&1 || echo "ended with $?: $*" >> commands.log
    exec {input}>&-
    wait
    rm -f stop
}

single() {
    "$rampant" single --base-url "$URL" --model sim -q --out results "$@"
}

batch() {
    cat > config.yaml <<YAML
base_url: $URL
model: sim
input_output: [[32, 8], [64, 4]]
concurrency_prompts: [[2, 12], [4, 12]]
repeats: 2
YAML
    "$rampant" batch --config config.yaml -q --out results
}

# Killed in the middle of its requests, after some have ended, and completed by another process.
killed() {
    single --num-prompts 2000 --max-concurrency 4 --random-output-len 8 &
    until ls results/*/.journal/rows-* > /dev/null 2>&1; do kill -0 $! && sleep 0.1; done
    sleep 1.5
    kill -9 $! && wait $! || true
    folder=$(dirname "$(dirname "$(ls results/*/.journal/rows-* | head -1)")")
    "$rampant" recover "$folder"
}

script() {
    cat > "$1.rhai" && "$rampant" run "$1.rhai" -q --out results >> commands.log 2>&1 || echo "ended with $?: $1" >> commands.log
}

serve "ttft=10ms,itl=2ms,model=sim" single --num-prompts 30 --max-concurrency 4
serve "ttft=10ms,itl=2ms,model=sim" single --num-prompts 30 --request-rate 40 --goodput ttft:200 e2el:2000
serve "ttft=5ms,itl=1ms,model=sim" batch
# The first request, which tries the server, gets its reply; the nine behind it are cut off.
serve "ttft=5ms,itl=1ms,model=sim,fail=cut:0.9" single --num-prompts 9 --max-concurrency 2
serve "ttft=5ms,itl=1ms,model=sim" killed
script mixed <<'RHAI'
let t = target("builtin:ttft=10ms,itl=2ms,model=mixed,fail=status:503:0.1");
for users in [2, 4] {
    run(#{
        name: `users ${users}`, target: t, arrivals: closed(users), requests: 40, warmup: 2, max_errors: "100%",
        workload: mix([[0.5, prompts(#{ class: "short", input: 20, output: 4 })], [0.5, prompts(#{ class: "长", input: 80, output: 9 })]]),
        slo: slo(#{ ttft: "60ms", tpot: "2.1ms" }), tags: #{ users: users, note: "a, 'b'", list: [1, 2] },
    });
}
let types = #{ columns: #{ note: "text", n: "int" } };
save_table("users", [#{ run: "users 2", rate: 1, n: 1, note: "好" }, #{ run: "users 4", rate: 2.5 }], types);
RHAI
# Nobody tells how many tokens there were; the run ends by time, in the middle of replies.
script quiet <<'RHAI'
let t = target("builtin:ttft=10ms,itl=2ms,model=quiet", #{ extra_body: #{ stream_options: #{ include_usage: false } } });
run(#{ name: "quiet", target: t, arrivals: closed(4), duration: "1500ms", warmup: "300ms",
       workload: prompts(#{ input: 20, output: 12 }) });
let whole = target("builtin:ttft=10ms,itl=2ms,model=quiet", #{ stream: false });
run(#{ name: "whole", target: whole, arrivals: poisson(30.0), requests: 20, workload: prompts(#{ input: 20, output: 5 }) });
save_table("users", [#{ run: "quiet", rate: () }], #{ columns: #{ note: "text", n: "int" } });
RHAI
# What another tool wrote: vLLM's JSON with its lists, and one without.
exported=$(ls -d results/sim_*/ | head -1)
"$rampant" export "$exported" --format vllm --output elsewhere >> commands.log 2>&1
"$rampant" import elsewhere/*.json --out results >> commands.log 2>&1
cat > totals.json <<'JSON'
{"date": "20250301-101010", "backend": "vllm", "model_id": "org/R1-AWQ", "tokenizer_id": "org/R1-AWQ", "num_prompts": 10,
 "request_rate": "inf", "burstiness": 1.0, "max_concurrency": 2, "duration": 4.0, "completed": 10, "total_input_tokens": 80,
 "total_output_tokens": 40, "request_throughput": 2.5, "output_throughput": 10.0, "total_token_throughput": 30.0,
 "mean_ttft_ms": 15.0, "median_ttft_ms": 14.0, "p99_ttft_ms": 20.0, "mean_tpot_ms": 8.0}
JSON
"$rampant" import totals.json --out results >> commands.log 2>&1
# A folder keeps the name of its creation inside, wherever it is.
mv "$(ls -d results/mixed_*/ | head -1)" results/moved
