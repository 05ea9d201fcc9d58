# shellcheck shell=bash
# Sourced by the set-up for `scripts/setup --system`: Debian packages installed into the system. Needs
# root, `say`, `give_up`, `have_apt`, LOG.

install_into_system() { # install_into_system PACKAGE...
    have_apt || give_up "--system needs apt-get, and this system has none" "install $* (or what this system calls it), then scripts/setup"
    say "installing $* into the system ..."
    local install=(apt-get -y -qq -o DPkg::Lock::Timeout=600 install --no-install-recommends "$@")
    DEBIAN_FRONTEND=noninteractive "${install[@]}" >> "$LOG" 2>&1 && return 0
    # No lists, or old ones.
    apt-get -qq update >> "$LOG" 2>&1 || true
    DEBIAN_FRONTEND=noninteractive "${install[@]}" >> "$LOG" 2>&1 ||
        give_up "$* could not be installed; see $LOG" "apt-get install $*"
}
