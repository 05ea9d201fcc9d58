# shellcheck shell=bash
# Sourced by the set-up: one way to report progress, one way to give up.

say() { printf 'setup: %s\n' "$*" >&2; }

give_up() { # give_up WHAT_IS_MISSING COMMAND_THAT_MENDS_IT
    printf 'setup: %s\nsetup: to mend it: %s\n' "$1" "$2" >&2
    exit 2
}
