"""holder.yaml is read strictly: what it does not know or cannot trust it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm_mpc.config import load_client, load_coordinator, load_holder
from hsm_mpc.errors import BadConfig

REPOSITORY = Path(__file__).parents[1]
MINIMAL = """\
version: 1
name: h1
store: store
hsm: {module: m.so, token: h1, pin_source: "file:pin"}
"""
KEY = "00" * 32
TWO = [f"{{number: 32768, key: '{key}'}}" for key in (KEY, "11" * 32)]


def written(folder: Path, text: str) -> Path:
    path = folder / "holder.yaml"
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return path


def test_relative_paths_are_relative_to_the_folder_of_the_file(tmp_path: Path) -> None:
    text = MINIMAL.replace("}", ", environment: {SOFTHSM2_CONF: ./s.conf, OTHER: plain}}")
    config = load_holder(written(tmp_path, text))
    assert config.store == tmp_path / "store"
    assert config.hsm.module == str(tmp_path / "m.so")
    assert config.hsm.pin_source == f"file:{tmp_path}/pin"
    assert config.hsm.environment == {"SOFTHSM2_CONF": f"{tmp_path}/s.conf", "OTHER": "plain"}


def test_a_database_of_nss_is_beside_the_file(tmp_path: Path) -> None:
    parameters = "configdir='sql:./nss' certPrefix='./x' flags="
    text = MINIMAL.replace("}", f', parameters: "{parameters}"}}')
    config = load_holder(written(tmp_path, text))
    assert config.hsm.parameters == parameters.replace("sql:./", f"sql:{tmp_path}/")
    assert load_holder(written(tmp_path, MINIMAL)).hsm.parameters == ""


def test_findings_are_accepted_by_known_names_only(tmp_path: Path) -> None:
    assert load_holder(written(tmp_path, MINIMAL)).hsm.accept_findings == ()
    accepted = MINIMAL.replace("}", ", accept_findings: [key-not-local]}")
    assert load_holder(written(tmp_path, accepted)).hsm.accept_findings == ("key-not-local",)
    with pytest.raises(BadConfig, match=r"hsm\.accept_findings"):
        load_holder(written(tmp_path, accepted.replace("key-not-local", "everything")))


def test_an_unknown_profile_is_refused_with_all_that_are_known(tmp_path: Path) -> None:
    assert load_holder(written(tmp_path, MINIMAL)).hsm.profile is None
    chosen = MINIMAL.replace("}", ", profile: luna-fips}")
    assert load_holder(written(tmp_path, chosen)).hsm.profile == "luna-fips"
    with pytest.raises(BadConfig, match=r"hsm\.profile.*standard.*aws-cloudhsm.*yubihsm2"):
        load_holder(written(tmp_path, chosen.replace("luna-fips", "luna-7")))


def test_sockets_are_relative_to_the_folder_of_the_file_too(tmp_path: Path) -> None:
    config = load_holder(written(tmp_path, MINIMAL + "front: {socket: run/front}\n"))
    assert config.front is not None
    assert config.front.socket == tmp_path / "run" / "front"
    assert config.admin_socket == tmp_path / "admin" / "socket"
    other = load_holder(written(tmp_path, MINIMAL + "admin_socket: /run/h1/socket\n"))
    assert (other.admin_socket, other.front) == (Path("/run/h1/socket"), None)


def test_coordinators_and_clients_are_known_by_number_and_key(tmp_path: Path) -> None:
    key = "0123456789abcdef" * 4
    text = (
        f"{MINIMAL}coordinators:\n- {{number: 32769, key: '{key}'}}\n"
        f"clients:\n- {{name: me, key: '{key}'}}\n"
    )
    config = load_holder(written(tmp_path, text))
    assert [(each.number, each.key) for each in config.coordinators] == [(32769, key)]
    assert [(each.name, each.key) for each in config.clients] == [("me", key)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 3600), ("lab: true\n", 0), ("refresh_min_interval: 60\n", 60)],
)
def test_refreshes_are_an_hour_apart_unless_the_operator_says_otherwise(
    tmp_path: Path, text: str, seconds: int
) -> None:
    assert load_holder(written(tmp_path, MINIMAL + text)).seconds_between_refreshes == seconds


def test_an_absolute_path_stays_as_it_is(tmp_path: Path) -> None:
    config = load_holder(written(tmp_path, MINIMAL.replace("m.so", "/opt/m.so")))
    assert config.hsm.module == "/opt/m.so"


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("version: 1", "version: 2", "version"),
        ("version: 1", "version: 1\npin: 1234", "pin"),
        ("name: h1", "name: H1", "name"),
        ("token: h1", "token: h1, slot: 3", "slot"),
        ("store: store", "", "store"),
        ("version: 1", "version: 1\nmemory: {kib: 1}", "kib"),
        ("version: 1", 'version: 1\nlab: "yes"', "lab"),
        ("version: 1", "version: 1\nversion: 1", "version"),
        ("version: 1", "version: 1\nfront: {address: a}", "front"),
        ("version: 1", f"version: 1\nfront: {{socket: {'x' * 108}}}", "107 bytes"),
        ("version: 1", "version: 1\nfront: {socket: admin/front}", "folders of their own"),
        ("version: 1", "version: 1\nworkers: 0", "workers"),
        ("version: 1", "version: 1\nrefresh_min_interval: -1", "refresh_min_interval"),
        ("version: 1", f"version: 1\ncoordinators: [{{number: 1, key: '{KEY}'}}]", "number"),
        ("version: 1", "version: 1\ncoordinators: [{number: 32768, key: AB}]", "key"),
        ("version: 1", f"version: 1\ncoordinators: [{TWO[0]}, {TWO[1]}]", "twice"),
    ],
)
def test_an_unknown_or_wrong_key_is_named(
    tmp_path: Path, before: str, after: str, named: str
) -> None:
    with pytest.raises(BadConfig, match=named):
        load_holder(written(tmp_path, MINIMAL.replace(before, after)))


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, MINIMAL)
    path.chmod(0o622)
    with pytest.raises(BadConfig, match="chmod go-w"):
        load_holder(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [", "not YAML"),
        (b"- 1", "mapping"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * 65537, "larger"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = written(tmp_path, "")
    path.write_bytes(content)
    with pytest.raises(BadConfig, match=said):
        load_holder(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"holder\.yaml"):
        load_holder(tmp_path / "holder.yaml")


def test_the_example_in_the_repository_is_read(tmp_path: Path) -> None:
    text = (REPOSITORY / "config" / "holder.softhsm.yaml").read_text("utf-8")
    assert load_holder(written(tmp_path, text)).hsm.token == "h1"


COORDINATOR = """\
version: 1
number: 32769
key: key
roster: ../roster
registry: /var/registry
listen: c.sock
holders: {h1: run/h1.sock, h2: /run/h2.sock}
"""
CLIENT = """\
version: 1
name: me
key: me.key
roster: roster
coordinator: /run/c.sock
"""


def test_a_coordinators_paths_are_relative_to_the_folder_of_the_file(tmp_path: Path) -> None:
    config = load_coordinator(written(tmp_path, COORDINATOR))
    assert (config.key, config.listen) == (tmp_path / "key", tmp_path / "c.sock")
    assert (config.roster, config.registry) == (tmp_path / "../roster", Path("/var/registry"))
    assert config.holders == {"h1": tmp_path / "run/h1.sock", "h2": Path("/run/h2.sock")}


def test_a_clients_paths_are_relative_to_the_folder_of_the_file(tmp_path: Path) -> None:
    config = load_client(written(tmp_path, CLIENT))
    assert (config.name, config.key) == ("me", tmp_path / "me.key")
    assert (config.roster, config.coordinator) == (tmp_path / "roster", Path("/run/c.sock"))


@pytest.mark.parametrize(
    "change",
    [
        ("number: 32769", "number: 1"),
        ("number: 32769", "number: 65536"),
        ("version: 1", "version: 2"),
        ("listen: c.sock", "listen: c.sock\nport: 1"),
        ("listen: c.sock", ""),
        ("{h1: run/h1.sock, h2: /run/h2.sock}", "[h1]"),
        ("{h1: ", "{H1: "),
        ("h1: run/h1.sock", "h1: 1"),
    ],
)
def test_a_coordinator_that_is_configured_wrongly_is_refused(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    with pytest.raises(BadConfig):
        load_coordinator(written(tmp_path, COORDINATOR.replace(*change)))


def test_a_coordinator_refreshes_as_its_file_says(tmp_path: Path) -> None:
    text = COORDINATOR + "refresh: {interval: 60, quiet_hours: [07:00-19:30, 22:00-06:00]}\n"
    refresh = load_coordinator(written(tmp_path, text)).refresh
    assert refresh is not None
    assert (refresh.interval, refresh.jitter) == (60, 0)
    assert refresh.quiet_hours == ("07:00-19:30", "22:00-06:00")
    assert load_coordinator(written(tmp_path, COORDINATOR)).refresh is None


@pytest.mark.parametrize(
    "schedule",
    [
        "{}",
        "{interval: 59}",
        "{interval: 1.5e3}",
        "{interval: 60, jitter: -1}",
        "{interval: 60, quiet_hours: '07:00-19:00'}",
        "{interval: 60, quiet_hours: ['7:00-19:00']}",
        "{interval: 60, quiet_hours: ['07:00-24:00']}",
        "{interval: 60, quiet_hours: ['07:00-19:60']}",
        '{interval: 60, quiet_hours: ["07:00-19:00\\n"]}',
        "{interval: 60, quiet_hours: ['08:00-08:00']}",
        "{interval: 60, weekdays: [1]}",
    ],
)
def test_a_schedule_that_says_nothing_clear_is_refused(tmp_path: Path, schedule: str) -> None:
    with pytest.raises(BadConfig):
        load_coordinator(written(tmp_path, f"{COORDINATOR}refresh: {schedule}\n"))


@pytest.mark.parametrize(
    "change", [("name: me", "name: Me"), ("key: me.key", "pin: 1"), ("version: 1", "version: 2")]
)
def test_a_client_that_is_configured_wrongly_is_refused(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    with pytest.raises(BadConfig):
        load_client(written(tmp_path, CLIENT.replace(*change)))


def test_the_examples_of_coordinator_and_client_are_read(tmp_path: Path) -> None:
    examples = REPOSITORY / "config"
    text = (examples / "coordinator.yaml").read_text("utf-8")
    assert set(load_coordinator(written(tmp_path, text)).holders) == {"h1", "h2", "h3"}
    text = (examples / "client.yaml").read_text("utf-8")
    assert load_client(written(tmp_path, text)).name == "treasury-desk"
