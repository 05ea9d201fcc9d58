# shellcheck shell=bash
# Sourced by scripts/setup: the programs of others that tests ask to judge what we sign and seal. Those
# that the system lacks are unpacked into .local/programs, where tests/consumers/programs.py finds them.
# Needs ROOT, SYSTEM, `say`, `give_up`; fetching also needs LOG.

UNPACKED_PROGRAMS="$ROOT/.local/programs"

# Program and Debian's package.
declare -A PACKAGE_OF=([openssl]=openssl [ssh-keygen]=openssh-client)

find_program() { # find_program NAME; prints its path. With --system an unpacked copy does not count.
    local copy="$UNPACKED_PROGRAMS/usr/bin/$1"
    command -v "$1" && return 0
    [ -z "$SYSTEM" ] && [ -x "$copy" ] && printf '%s\n' "$copy"
}

programs_are_ready() {
    local program
    for program in "${!PACKAGE_OF[@]}"; do
        find_program "$program" > /dev/null || return 1
    done
}

lacking_packages() { # one a line
    local program
    for program in "${!PACKAGE_OF[@]}"; do
        command -v "$program" > /dev/null || printf '%s\n' "${PACKAGE_OF[$program]}"
    done
}

# Without its libraries a program ends with 127, of another architecture with 126.
starts() { # starts PATH
    local code=0
    "$1" --help < /dev/null > /dev/null 2>&1 || code=$?
    [ "$code" -lt 126 ]
}

unpack_programs() { # unpack_programs PACKAGE...
    local program
    have_apt || give_up "tests need ${!PACKAGE_OF[*]}, and this system has no apt-get to fetch what it lacks" \
        "install $* (or what this system calls it), then scripts/setup"
    say "unpacking $* into .local/programs (once, a few seconds) ..."
    unpack_packages "$UNPACKED_PROGRAMS" "$@" 2>> "$LOG" ||
        give_up "$* could not be downloaded: $(tail -n 1 "$LOG")" \
            "check the network and apt's sources, then scripts/setup; or: sudo apt-get update && sudo apt-get install $*"
    for program in "${!PACKAGE_OF[@]}"; do
        starts "$(find_program "$program")" && continue
        rm -rf "$UNPACKED_PROGRAMS"
        give_up "$program does not start" "sudo scripts/setup --system (it installs what $program needs as well)"
    done
}

fetch_programs() {
    local packages
    # shellcheck source=scripts/lib/private_packages.sh
    . "$ROOT/scripts/lib/private_packages.sh"
    # shellcheck source=scripts/lib/system_packages.sh
    . "$ROOT/scripts/lib/system_packages.sh"
    mapfile -t packages < <(lacking_packages)
    if [ -n "$SYSTEM" ]; then
        install_into_system "${packages[@]}"
    else
        unpack_programs "${packages[@]}"
    fi
}
