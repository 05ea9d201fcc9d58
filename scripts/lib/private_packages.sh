# shellcheck shell=bash
# Sourced by the set-up: Debian packages unpacked into a folder of this project. Needs no root, and
# nothing goes into the system. apt checks the archive's signature over what it downloads.

# Beside the system's own lists, for a machine whose lists are empty or old. Deleted by scripts/setup.
PRIVATE_APT="$ROOT/.local/apt"

# Which run of the set-up this is; scripts/setup tells those that it calls.
SETUP_RUN="${SETUP_RUN:-$$}"

have_apt() { command -v apt-get > /dev/null && command -v dpkg-deb > /dev/null; }

refresh_private_lists() {
    mkdir -p "$PRIVATE_APT/lists/partial" "$PRIVATE_APT/cache/archives/partial"
    # The machine's own hooks (containers have some) would act on the system's folders.
    cat > "$PRIVATE_APT/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State::Lists "$PRIVATE_APT/lists/";
Dir::Cache "$PRIVATE_APT/cache/";
Acquire::Languages "none";
CONF
    apt_get -c "$PRIVATE_APT/apt.conf" update
}

apt_get() {
    # The sandbox user of apt cannot write into a folder of ours; for others than root it means nothing.
    apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=2 -o Acquire::http::Timeout=30 "$@" >&2
}

private_lists_are_fresh() { [ "$(cat "$PRIVATE_APT/of-run" 2> /dev/null)" = "$SETUP_RUN" ]; }

download_packages() { # download_packages FOLDER PACKAGE...; what apt says goes to stderr
    local folder="$1"
    shift
    # Only with the lists of the same run: private lists of an earlier one may be half done.
    if ! private_lists_are_fresh; then
        (cd "$folder" && apt_get download "$@") && return 0
        rm -f "$folder"/*.deb
        refresh_private_lists || return 1
        printf '%s\n' "$SETUP_RUN" > "$PRIVATE_APT/of-run"
    fi
    (cd "$folder" && apt_get -c "$PRIVATE_APT/apt.conf" download "$@")
}

# FOLDER appears complete or not at all.
unpack_packages() { # unpack_packages FOLDER PACKAGE...
    local folder="$1" parts="$1.unpacking" package
    shift
    rm -rf "$folder" "$parts"
    mkdir -p "$parts/packages"
    download_packages "$parts/packages" "$@" || return 1
    for package in "$parts"/packages/*.deb; do
        dpkg-deb -x "$package" "$parts/root" || return 1
    done
    mv "$parts/root" "$folder" && rm -rf "$parts"
}
