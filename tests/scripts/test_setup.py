"""scripts/setup and softhsm/: what they find, and what they say when something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.programs import UNPACKED

MORE_MODULES = ("nss", "p11kit", "opencryptoki", "opensc")
TOOLS = (
    *("bash", "cat", "chmod", "dirname", "env", "flock", "grep", "head", "mkdir", "mv"),
    *("readlink", "rm", "sha256sum", "tail", "touch"),
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What a fresh clone holds of the set-up."""
    root = tmp_path / "clone"
    for folder in ("scripts", "softhsm", "requirements", *MORE_MODULES):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A folder for PATH with the few tools of every system, and neither Python nor apt."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    return folder


def run(command: list[str | Path], **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k != "HSM_MPC_SOFTHSM_MODULE"}
    return subprocess.run(
        command, env=inherited | variables, capture_output=True, text=True, timeout=60
    )


def tool(folder: Path, name: str, script: str) -> None:
    """Puts a stand-in for a program into a folder for PATH."""
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)


# --- what is missing is named, with the mend ------------------------------------------------------


def assert_gives_up(ended: subprocess.CompletedProcess[str], *words: str) -> None:
    assert ended.returncode == 2
    missing, mend = ended.stderr.splitlines()[-2:]
    assert mend.startswith("setup: to mend it: ")
    for word in words:
        assert word in missing + mend


def test_a_python_that_does_not_run_is_refused(copy: Path) -> None:
    assert_gives_up(run([copy / "scripts/setup"], PYTHON="false"), "PYTHON=false")
    assert not (copy / ".venv").exists()


def test_without_python_the_versions_are_named(copy: Path, bare_path: Path) -> None:
    ended = run([copy / "scripts/setup"], PATH=str(bare_path))
    assert_gives_up(ended, "3.11, 3.12, 3.13", "no python3")


def test_too_old_a_python_is_named_and_what_apt_would_install(copy: Path, bare_path: Path) -> None:
    tool(bare_path, "python3", '[ "$1" = --version ] && echo "Python 3.10.12"')
    tool(bare_path, "apt-cache", '[ "$2" = python3.12 ]')
    ended = run([copy / "scripts/setup"], PATH=str(bare_path))
    assert_gives_up(ended, "Python 3.10.12", "sudo apt-get install python3.12")


def test_a_module_that_is_not_there_is_refused(copy: Path) -> None:
    ended = run([copy / "scripts/setup"], HSM_MPC_SOFTHSM_MODULE="/gone.so")
    assert_gives_up(ended, "/gone.so: no such file")


def test_an_unknown_argument_is_refused(copy: Path) -> None:
    assert_gives_up(run([copy / "scripts/setup", "--root"]), "unknown argument --root")


def test_only_root_installs_into_the_system(copy: Path, bare_path: Path) -> None:
    tool(bare_path, "id", "echo 1000")
    ended = run([copy / "scripts/setup", "--system"], PATH=f"{bare_path}:{os.environ['PATH']}")
    assert_gives_up(ended, "--system needs root", "sudo scripts/setup --system")


def test_python_without_venv_and_no_apt(copy: Path, bare_path: Path) -> None:
    # A Python with no ensurepip and no venv, as Debian's python3-minimal is.
    tool(
        bare_path,
        "python3",
        f'case "$3" in *venv*) exit 1 ;; *) exec {sys.executable} "$@" ;; esac',
    )
    ended = run([copy / "scripts/setup"], PATH=str(bare_path))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert_gives_up(ended, "ensurepip", f"sudo apt-get install {version}")


# --- the second run -------------------------------------------------------------------------------


def test_a_second_run_finds_everything_done() -> None:
    """From any directory; it says nothing."""
    setup = ROOT / "scripts" / "setup"
    assert run([setup]).returncode == 0
    second = subprocess.run([setup], cwd="/", capture_output=True, text=True, timeout=60)
    assert (second.returncode, second.stdout + second.stderr) == (0, "")


# --- finding the module ---------------------------------------------------------------------------

FIND = f'. "{ROOT}/softhsm/find.sh"; find_module "$0"'


def find_module(prefix: Path) -> subprocess.CompletedProcess[str]:
    return run(["bash", "-c", FIND, prefix], PYTHON=sys.executable)


@pytest.mark.parametrize(
    "folder",
    [
        "usr/lib/x86_64-linux-gnu/softhsm",
        "usr/lib/aarch64-linux-gnu/softhsm",
        "usr/lib/softhsm",
        "usr/lib64/pkcs11",
        "usr/local/lib/softhsm",
    ],
)
def test_the_module_is_found_wherever_systems_keep_it(
    tmp_path: Path, softhsm_module: str, folder: str
) -> None:
    broken = tmp_path / "usr/lib/another-architecture/softhsm/libsofthsm2.so"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"\x7fELF of something else")
    assert find_module(tmp_path).returncode == 1

    there = tmp_path / folder / "libsofthsm2.so"
    there.parent.mkdir(parents=True, exist_ok=True)
    there.symlink_to(softhsm_module)
    found = find_module(tmp_path)
    assert (found.returncode, found.stdout) == (0, f"{there}\n")


# --- the other modules ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MORE_MODULES)
def test_a_module_that_cannot_be_had_is_left_out_with_the_reason(
    copy: Path, bare_path: Path, name: str
) -> None:
    tool(bare_path, "apt-get", 'echo "E: no network" >&2; exit 100')
    tool(bare_path, "dpkg-deb", "exit 0")
    ended = run([copy / name / "fetch", sys.executable], PATH=str(bare_path))
    assert ended.returncode == 0, ended.stderr
    reason = (copy / ".local" / name / "left-out").read_text()
    assert "E: no network" in reason
    assert f"leaving {name} out: {reason}" in ended.stderr
    assert os.listdir(copy / ".local" / name) == ["left-out"]


def test_a_module_that_was_left_out_or_found_is_not_fetched_again(copy: Path) -> None:
    states = ("left-out", "module", "none", "program")
    for name, state in zip(MORE_MODULES, states, strict=True):
        (copy / ".local" / name).mkdir(parents=True)
        (copy / ".local" / name / state).write_text(f"{copy / 'pyproject.toml'}\n")
    settled = """
    ROOT="$0"
    eval "$(sed -n '/^names_a_file()/,/^}/p; /^is_settled()/,/^}/p' "$0/scripts/setup")"
    for name in nss p11kit opencryptoki opensc; do is_settled "$name" && echo "$name"; done
    """
    assert run(["bash", "-c", settled, copy]).stdout.split() == ["nss", "p11kit", "opensc"]


# --- unpacking packages ---------------------------------------------------------------------------

UNPACK = """
ROOT="$0"
. "$ROOT/scripts/lib/private_packages.sh"
unpack_packages "$ROOT/.local/unpacked" one two
"""


def unpack(copy: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return run(["bash", "-c", UNPACK, copy], PATH=f"{path}:{os.environ['PATH']}")


# As apt does: the files land in the working directory.
DOWNLOAD = 'echo "$*" >> ../../../apt-calls; case "$*" in *download*) touch one.deb two.deb ;; esac'
EXTRACT = 'mkdir -p "$3/usr" && touch "$3/usr/$(basename "$2")"'


def test_packages_appear_when_all_are_unpacked(copy: Path, bare_path: Path) -> None:
    tool(bare_path, "apt-get", DOWNLOAD)
    tool(bare_path, "dpkg-deb", EXTRACT)
    assert unpack(copy, bare_path).returncode == 0
    unpacked = copy / ".local/unpacked"
    assert sorted(path.name for path in unpacked.rglob("*.deb")) == ["one.deb", "two.deb"]
    assert os.listdir(copy / ".local") == ["unpacked"]


@pytest.mark.parametrize(
    ("download", "extract"),
    [
        (f"{DOWNLOAD}; exit 100", EXTRACT),
        (DOWNLOAD, f'case "$2" in *two.deb) exit 2 ;; esac; {EXTRACT}'),
    ],
)
def test_half_of_it_never_looks_done(
    copy: Path, bare_path: Path, download: str, extract: str
) -> None:
    tool(bare_path, "apt-get", download.replace("../../../apt-calls", "/dev/null"))
    tool(bare_path, "dpkg-deb", extract)
    assert unpack(copy, bare_path).returncode != 0
    assert not (copy / ".local/unpacked").exists()


def test_old_lists_of_the_system_are_replaced_by_private_ones(copy: Path, bare_path: Path) -> None:
    calls = copy / "calls"
    private = copy / ".local/apt/apt.conf"
    tool(
        bare_path,
        "apt-get",
        f"""echo "$*" >> {calls}
        case "$*" in
            *" -c {private} "*download*) touch one.deb two.deb ;;
            *download*) echo "E: 404" >&2; exit 100 ;;
        esac""",
    )
    tool(bare_path, "dpkg-deb", EXTRACT)
    ended = unpack(copy, bare_path)
    assert ended.returncode == 0, ended.stderr
    first, update, second = calls.read_text().splitlines()
    assert first.endswith("download one two")
    assert update.endswith(f"-c {private} update")
    assert second.endswith(f"-c {private} download one two")
    assert f'Dir::State::Lists "{copy}/.local/apt/lists/";' in private.read_text()


# --- programs that tests ask ----------------------------------------------------------------------

FETCH = """
ROOT="$0" SYSTEM="$1" LOG="$0/setup.log"
. "$ROOT/scripts/lib/messages.sh"
. "$ROOT/scripts/lib/programs.sh"
programs_are_ready || fetch_programs
programs_are_ready && find_program openssl && find_program ssh-keygen
"""
# What dpkg-deb makes of any package.
SSH_KEYGEN = """
mkdir -p "$3/usr/bin" && echo "#!{interpreter}" > "$3/usr/bin/ssh-keygen"
chmod +x "$3/usr/bin/ssh-keygen"
"""
STARTS = SSH_KEYGEN.format(interpreter=shutil.which("bash"))


def fetch(copy: Path, path: Path, system: str = "") -> subprocess.CompletedProcess[str]:
    """Asks for the programs where only those in the folder `path` are there."""
    return run(["bash", "-c", FETCH, copy, system], PATH=str(path))


def test_the_systems_own_programs_are_taken(copy: Path, bare_path: Path) -> None:
    for name in ("openssl", "ssh-keygen"):
        tool(bare_path, name, "exit 0")
    ended = fetch(copy, bare_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == [f"{bare_path}/openssl", f"{bare_path}/ssh-keygen"]
    assert not (copy / ".local").exists()


def test_only_what_the_system_lacks_is_unpacked_to_where_tests_look(
    copy: Path, bare_path: Path
) -> None:
    tool(bare_path, "openssl", "exit 0")
    tool(bare_path, "apt-get", DOWNLOAD)
    tool(bare_path, "dpkg-deb", STARTS)
    ended = fetch(copy, bare_path)
    assert ended.returncode == 0, ended.stderr
    (call,) = (copy / "apt-calls").read_text().splitlines()
    assert call.endswith("download openssh-client")
    unpacked = copy / UNPACKED.relative_to(ROOT) / "ssh-keygen"
    assert ended.stdout.split() == [f"{bare_path}/openssl", str(unpacked)]


def test_a_program_that_does_not_start_is_not_kept(copy: Path, bare_path: Path) -> None:
    tool(bare_path, "openssl", "exit 0")
    tool(bare_path, "apt-get", DOWNLOAD)
    tool(bare_path, "dpkg-deb", SSH_KEYGEN.format(interpreter="/gone"))
    ended = fetch(copy, bare_path)
    assert_gives_up(ended, "ssh-keygen does not start", "sudo scripts/setup --system")
    assert not (copy / ".local/programs").exists()


def test_a_program_that_cannot_be_downloaded_is_named(copy: Path, bare_path: Path) -> None:
    tool(bare_path, "openssl", "exit 0")
    tool(bare_path, "apt-get", 'echo "E: no network" >&2; exit 100')
    tool(bare_path, "dpkg-deb", STARTS)
    ended = fetch(copy, bare_path)
    assert_gives_up(ended, "openssh-client", "E: no network", "sudo apt-get install")


def test_without_apt_the_programs_are_named(copy: Path, bare_path: Path) -> None:
    assert_gives_up(fetch(copy, bare_path), "openssl", "ssh-keygen", "no apt-get")


def test_what_is_missing_is_installed_into_the_system_on_request(
    copy: Path, bare_path: Path
) -> None:
    """Even if a copy was unpacked before."""
    tool(bare_path, "openssl", "exit 0")
    copies = copy / UNPACKED.relative_to(ROOT)
    copies.mkdir(parents=True)
    tool(copies, "ssh-keygen", "exit 0")
    installed = bare_path / "ssh-keygen"
    tool(bare_path, "dpkg-deb", "exit 1")
    tool(
        bare_path,
        "apt-get",
        f'echo "$*" >> {copy}/apt-calls; echo > {installed}; chmod +x {installed}',
    )
    ended = fetch(copy, bare_path, "--system")
    assert ended.returncode == 0, ended.stderr
    assert (
        (copy / "apt-calls")
        .read_text()
        .endswith("install --no-install-recommends openssh-client\n")
    )
    assert ended.stdout.split() == [f"{bare_path}/openssl", str(installed)]
