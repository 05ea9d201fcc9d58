# shellcheck shell=bash
# Sourced by scripts/setup: finds a Python, makes .venv from requirements/dev.txt, and says whether
# that was done before. Needs ROOT, `say`, `give_up`; making it also needs LOG.

VENV="$ROOT/.venv"

# The versions for which every locked package has a wheel. An explicit PYTHON may be any from 3.11.
SUPPORTED="3.11 3.12 3.13"

is_usable() { # is_usable PYTHON NEWEST; a version manager's shim exists and yet does not run
    "$1" -I -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= ($2))" > /dev/null 2>&1
}

find_python() {
    local candidate
    if [ -n "${PYTHON-}" ]; then
        is_usable "$PYTHON" "3, 99" || return 1
        printf '%s\n' "$PYTHON"
        return 0
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        if is_usable "$candidate" "3, 13"; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

report_no_python() {
    local mend="" version found
    if [ -n "${PYTHON-}" ]; then
        give_up "PYTHON=$PYTHON is no Python 3.11 or later" "unset PYTHON, or set it to one of: ${SUPPORTED// /, }"
    fi
    for version in $SUPPORTED; do
        if apt-cache show "python$version" > /dev/null 2>&1; then
            mend="sudo apt-get install python$version"
        fi
    done
    found="$(python3 --version 2> /dev/null || echo "no python3")"
    give_up "Python ${SUPPORTED// /, } is needed, this machine has $found" \
        "${mend:-install one of them, or: PYTHON=/path/to/python3.12 scripts/setup}"
}

# --- was it done before? -------------------------------------------------------------------------

# The interpreter's version and this folder's place are part of it: an environment works with no other.
environment_stamp() { # environment_stamp PYTHON
    {
        "$1" -I -S -c 'import sys; print(sys.version)' 2> /dev/null || echo gone
        printf '%s\n' "$ROOT"
        cat "$ROOT/requirements/dev.txt"
    } | sha256sum
}

project_stamp() { sha256sum < "$ROOT/pyproject.toml"; }

environment_is_ready() {
    [ -f "$VENV/made-from" ] || return 1
    # Who names a Python wants that one, not the one that was found before.
    [ "$(environment_stamp "${PYTHON:-$VENV/bin/python}")" = "$(cat "$VENV/made-from")" ]
}

project_is_ready() {
    [ -f "$VENV/project-from" ] && [ "$(project_stamp)" = "$(cat "$VENV/project-from")" ]
}

# --- make it -------------------------------------------------------------------------------------

# Debian splits pip from python3 (python3-venv). Its wheel can be unpacked without root.
make_venv_with_unpacked_pip() { # make_venv_with_unpacked_pip PYTHON
    # shellcheck source=scripts/lib/private_packages.sh
    . "$ROOT/scripts/lib/private_packages.sh"
    local folder="$ROOT/.local/pip" wheels
    unpack_packages "$folder" python3-pip-whl 2>> "$LOG" || return 1
    wheels=("$folder"/usr/share/python-wheels/pip-*.whl)
    "$1" -m venv --clear --without-pip "$VENV" >> "$LOG" 2>&1 &&
        "$VENV/bin/python" "${wheels[0]}/pip" install --quiet --no-index "${wheels[0]}" >> "$LOG" 2>&1 || return 1
    rm -rf "$folder"
}

make_venv() { # make_venv PYTHON
    local version
    if "$1" -I -c 'import ensurepip, venv' 2> /dev/null; then
        "$1" -m venv --clear "$VENV" >> "$LOG" 2>&1 && return 0
        give_up "$1 -m venv failed: $(tail -n 1 "$LOG")" "see $LOG"
    fi
    if command -v apt-get > /dev/null && "$1" -I -c 'import venv' 2> /dev/null; then
        make_venv_with_unpacked_pip "$1" && return 0
    fi
    version="$("$1" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    give_up "$1 lacks the modules venv and ensurepip, and pip could not be fetched without root" "sudo apt-get install python$version-venv"
}

install_with_pip() { # install_with_pip ARGUMENT...
    # A user's own pip.conf may ask for --user, which no environment has.
    PIP_USER=0 "$VENV/bin/python" -m pip --quiet --disable-pip-version-check --no-input install "$@" >> "$LOG" 2>&1
}

make_environment() {
    local python
    python="$(find_python)" || report_no_python
    say "making the Python environment (once, about 20 s) ..."
    rm -f "$VENV/made-from" # interrupted from here on, it is not ready
    make_venv "$python"
    # Only wheels: set-up runs no code of a package, and needs no compiler.
    install_with_pip --require-hashes --only-binary=:all: --requirement "$ROOT/requirements/dev.txt" ||
        give_up "the Python packages could not be installed: $(grep -m 1 ERROR "$LOG" || tail -n 1 "$LOG")" \
            "check the network and pip's index (pip config list), then scripts/setup; all of it: $LOG"
    environment_stamp "$VENV/bin/python" > "$VENV/made-from"
}

install_project() {
    install_with_pip --no-deps --no-build-isolation --editable "$ROOT" ||
        give_up "the project itself could not be installed: $(grep -m 1 ERROR "$LOG" || tail -n 1 "$LOG")" "see $LOG"
    project_stamp > "$VENV/project-from"
}
