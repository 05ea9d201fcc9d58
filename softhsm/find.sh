# shellcheck shell=bash
# Sourced by softhsm/fetch: where a system, or packages unpacked into a folder, keeps the module.
# Needs PYTHON.
# shellcheck source=scripts/lib/loading.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/loading.sh"

candidates() { # candidates PREFIX ("" is the system); one existing path a line
    local path
    # Debian: usr/lib/<architecture>/softhsm. Others: usr/lib64/pkcs11. Built by hand: usr/local/lib.
    for path in "$1"/usr/{lib,lib64,local/lib,local/lib64}/{,*/}{softhsm,pkcs11}/libsofthsm2.so; do
        [ ! -f "$path" ] || printf '%s\n' "$path"
    done
}

first_candidate() { candidates "$1" | head -n 1; }

find_module() { # find_module PREFIX; prints the first that loads, fails when none does
    local path
    while read -r path; do
        if [ -z "$(why_not_loadable "$path")" ]; then
            printf '%s\n' "$path"
            return 0
        fi
    done < <(candidates "$1")
    return 1
}
