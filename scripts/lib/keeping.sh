# shellcheck shell=bash
# Sourced by p11kit/inside and opencryptoki/inside: a daemon that serves one command, as long as that
# runs. Needs ROOT, NAME.

PATIENCE_SECONDS=5
CLAIM_SECONDS=1

fail() {
    printf '%s: %s\n' "$NAME" "$1" >&2
    exit 4
}

# Another command's daemon would take the socket, or write the same files without a common lock. The
# claim ends when the command and the keeper of its daemon have ended.
claim() { # claim FOLDER
    exec {LOCK}< "$1"
    flock -w "$CLAIM_SECONDS" "$LOCK" || fail "another command runs on $1"
}

# Returns when the daemon listens. It becomes a grandchild of this process.
keep_daemon() { # keep_daemon SOCKET COMMAND...
    local library="$ROOT/scripts/lib" keeper
    rm -f "$1"
    "$library/bound" $$ "$library/keep-running" "$1" "$LOCK" "${@:2}" < /dev/null > /dev/null &
    keeper=$!
    for ((glance = 0; glance < 20 * PATIENCE_SECONDS; glance++)); do
        [ ! -S "$1" ] || return 0
        kill -0 "$keeper" 2> /dev/null || break
        sleep 0.05
    done
    fail "its daemon does not start: ${2##*/}"
}
