# shellcheck shell=bash
# Sourced by nss/fetch, p11kit/fetch and opencryptoki/fetch: modules that tests run on besides SoftHSM2; and by
# opensc/fetch, for a program that looks into a token. They are always unpacked: what tests know is one build, whatever the system has and how it is set up.
# Needs ROOT, NAME, `say`; `keep_module` needs PYTHON.

HERE="$ROOT/.local/$NAME"
LOG="$ROOT/.local/setup.log"

# A newcomer's system may forbid it: set-up goes on, tests skip and say why, and the gate fails.
leave_out() { # leave_out REASON
    say "leaving $NAME out: $1"
    rm -rf "$HERE"
    mkdir -p "$HERE"
    printf '%s\n' "$1" > "$HERE/left-out"
    exit 0
}

unpack_module() { # unpack_module PACKAGE...
    rm -rf "$HERE"
    mkdir -p "$HERE"
    have_apt || leave_out "this system has no apt-get to fetch $*"
    say "unpacking $NAME into .local/$NAME (once, a few seconds) ..."
    unpack_packages "$HERE/unpacked" "$@" 2>> "$LOG" || leave_out "$* could not be downloaded: $(tail -n 1 "$LOG")"
}

the_one() { # the_one GLOB...; the path that exists
    local path
    for path in "$@"; do
        [ ! -f "$path" ] || {
            printf '%s\n' "$path"
            return 0
        }
    done
    return 1
}

# Last of all: from then on the module counts as ready.
keep_module() { # keep_module PATH
    local why
    why="$(why_not_loadable "$1")"
    [ -z "$why" ] || leave_out "it does not load: $why"
    readlink -f "$1" > "$HERE/module.new"
    mv "$HERE/module.new" "$HERE/module"
}

# The same for a program.
keep_program() { # keep_program PATH
    local code=0
    "$1" --help < /dev/null > /dev/null 2>> "$LOG" || code=$?
    # Without its libraries a program ends with 127, of another architecture with 126.
    [ "$code" -lt 126 ] || leave_out "it does not start: $(tail -n 1 "$LOG")"
    printf '%s\n' "$1" > "$HERE/program.new"
    mv "$HERE/program.new" "$HERE/program"
}
