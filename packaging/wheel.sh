#!/usr/bin/env bash
# Makes a wheel that carries the program: packaging/wheel.sh [FOLDER]
#
# The `dist` build, in a wheel below target/wheels or in FOLDER; its name is the last line.
# `pip install` of that file needs no Rust. It runs where glibc is as new as here, and its tag
# (manylinux_2_NN) says so to pip. Needs cargo, a C compiler, python3 with venv, and PyPI for maturin.
set -euo pipefail

cd "$(dirname "$0")/.."
mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
mkdir -p "${1:-$target/wheels}"
out=$(cd "${1:-$target/wheels}" && pwd)
export CARGO_TARGET_DIR=$target
tools=$target/wheel-tools

if [ ! -x "$tools/bin/maturin" ]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install -q --disable-pip-version-check "maturin>=1.9,<2"
fi

# maturin takes licences from the folder of pyproject.toml alone.
project=$target/wheel-project
rm -rf "$project"
mkdir "$project"
cp README.md LICENSE-MIT LICENSE-APACHE NOTICE src/chart/font/OFL.txt "$project"
sed "s|@ROOT@|$PWD|" packaging/pyproject.toml > "$project/pyproject.toml"
cd "$project"
"$tools/bin/maturin" build --locked --out "$out"
