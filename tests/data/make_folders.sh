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
YAML
    "$rampant" batch --config config.yaml -q --out results
}

script() {
    cat > mixed.rhai <<'RHAI'
let t = target("builtin:ttft=10ms,itl=2ms,model=mixed");
for users in [2, 4] {
    run(#{
        name: `users ${users}`, target: t, arrivals: closed(users), requests: 24, warmup: 2,
        workload: mix([[0.5, prompts(#{ class: "short", input: 20, output: 4 })], [0.5, prompts(#{ class: "长", input: 80, output: 9 })]]),
        slo: slo(#{ ttft: "60ms" }), tags: #{ users: users, note: "a, 'b'", list: [1, 2] },
    });
}
RHAI
    "$rampant" run mixed.rhai -q --out results
}

serve "ttft=10ms,itl=2ms,model=sim" single --num-prompts 30 --max-concurrency 4
serve "ttft=10ms,itl=2ms,model=sim" single --num-prompts 30 --request-rate 40
serve "ttft=5ms,itl=1ms,model=sim" batch
# The first request, which tries the server, gets its reply; the nine behind it are cut off.
serve "ttft=5ms,itl=1ms,model=sim,fail=cut:0.9" single --num-prompts 9 --max-concurrency 2
script >> commands.log 2>&1
# A folder keeps the name of its creation inside, wherever it is.
newest=$(ls -d results/*/ | head -1)
mv "$newest" results/moved
