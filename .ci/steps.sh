# Sourced by .ci/run and .ci/slow: steps that are counted, and what came of them.

passed=0 failed=0 skipped=0
failures=()

# step NAME COMMAND...: runs it and counts how it ended.
step() {
    local name=$1 began=$SECONDS
    shift
    echo "--- $name"
    if "$@"; then
        passed=$((passed + 1))
        echo "ok: $name ($((SECONDS - began)) s)"
    else
        failed=$((failed + 1))
        failures+=("$name")
        echo "FAILED: $name"
    fi
}

skip() {
    skipped=$((skipped + 1))
    echo "SKIPPED: $1: $2"
}

# The last words of a log.
reason() {
    grep -v '^ *$' "$1" | tail -n 1 || echo "it did not end in time"
}

# Writes what failed and the last line, `N passed, M failed`; succeeds if nothing failed.
result() {
    local failure tail=""
    for failure in ${failures[@]+"${failures[@]}"}; do
        echo "FAILED: $failure"
    done
    echo "$SECONDS s"
    [ "$skipped" -eq 0 ] || tail=", $skipped skipped"
    echo "$passed passed, $failed failed$tail"
    [ "$failed" -eq 0 ]
}
