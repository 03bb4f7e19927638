"""`bosctl` against both services on a real gRPC server: every command, every exit status, both kinds of output."""

import getpass
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bosd import errors
from bosd.v1 import battery_pb2 as pb
from bosd.v1 import topology_pb2 as tpb
from clients.bosctl.__main__ import run
from tests.support.bosctl_node import TOML, Home, running

NEW = '[[battery]]\nname = "n"\nkind = "null"\nvoltage_v = 48.0\n'
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home() -> Home:
    """A node with four batteries."""
    return Home()


@pytest.fixture
def target(home: Home) -> Iterator[str]:
    """Its address while it runs."""
    with running(home) as address:
        yield address


@pytest.fixture
def cli(target: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run one command against the node; return exit status, stdout and stderr."""
    monkeypatch.setenv("BOSD_TARGET", target)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(list(arguments))
        captured = capsys.readouterr()
        return int(status), captured.out, captured.err

    return call


@pytest.fixture
def toml(tmp_path: Path) -> str:
    """A topology file with one null battery."""
    path = tmp_path / "new.toml"
    path.write_text(NEW)
    return str(path)


def document(result: tuple[int, str, str]) -> Any:
    """Return the one JSON document of a command that was done."""
    status, out, err = result
    assert (status, err) == (0, "")
    return json.loads(out)


@pytest.mark.parametrize("names", [["b1"], ["b1", "agg"], []])
def test_status_is_a_list_for_any_number_of_names(cli: Cli, names: list[str]) -> None:
    """One name is a list of one; no name is every battery."""
    statuses = document(cli("--json", "status", *names))
    assert [status["name"] for status in statuses] == (names or ["b1", "b2", "agg", "garage-pack"])


def test_status_asks_for_fresh_samples_on_request(cli: Cli, home: Home) -> None:
    """`--max-age` travels with the call."""
    document(cli("--json", "status", "b1", "--max-age", "250ms"))
    assert home.asked == [pb.ListStatusesRequest(names=["b1"], max_age_s=0.25)]


def test_status_for_people(cli: Cli) -> None:
    """One battery is a card, several are a table."""
    assert "spread 2 mV" in cli("status", "b1")[1]
    assert "UNAVAILABLE" in cli("status")[1]


def test_ls_knows_statuses_and_their_place(cli: Cli) -> None:
    """A tree for people, statuses with sources and users for machines."""
    by_name = {entry["name"]: entry for entry in document(cli("ls", "--json"))}
    assert (by_name["agg"]["sources"], by_name["b1"]["users"], by_name["b1"]["splitter"]) == (["b1", "b2"], ["agg"], None)
    status, out, _err = cli("ls")
    assert status == 0
    assert "└─ b2" in out


@pytest.mark.parametrize(
    ("amps", "current_a"), [("4", 4.0), ("-2.5", -2.5), ("4A", 4.0), ("-5A", -5.0), ("0", 0.0), ("-132W", -10.0)]
)
def test_set_sends_what_was_typed(cli: Cli, home: Home, amps: str, current_a: float) -> None:
    """Negative numbers are arguments; watts are divided by the 13.2 V the battery has."""
    answer = document(cli("--json", "set", "b1", amps, "--ttl", "8m"))
    request = home.asked[-1]
    assert (request.current_a, request.ttl_s, request.dry_run) == (pytest.approx(current_a), 480.0, False)
    assert len(request.request_id) == 16
    assert answer["leaves"] == [{"name": "b1", "old_current_a": 0.0, "new_current_a": pytest.approx(current_a)}]
    # 1 700 000 000 s is 2023-11-14T22:13:20Z; 480 s later:
    assert answer["setpoint_ends_at"] == "2023-11-14T22:21:20.000Z"


def test_set_without_ttl_leaves_it_to_the_node(cli: Cli, home: Home) -> None:
    """The default time to live is the node's."""
    assert document(cli("--json", "set", "b1", "4"))["ttl_s"] == 60.0
    assert not home.asked[-1].HasField("ttl_s")


def test_a_dry_run_is_marked(cli: Cli, home: Home) -> None:
    """The request and the answer both say that nothing changed."""
    assert document(cli("--json", "set", "b1", "4", "--dry-run"))["dry_run"] is True
    assert home.asked[-1].dry_run
    assert "would apply +4.00 A" in cli("set", "b1", "4", "--dry-run")[1]


def test_none_ends_ones_own_set_point(cli: Cli, home: Home) -> None:
    """`none` is its own call; nothing is requested any more."""
    assert document(cli("--json", "set", "b1", "none"))["requested_current_a"] is None
    assert home.asked == [pb.ClearCurrentRequest(name="b1")]


def test_watts_need_a_known_voltage(cli: Cli) -> None:
    """A battery that was never sampled cannot turn watts into amperes."""
    status, _out, err = cli("set", "b2", "500W")
    assert status == 1
    assert "ask for amperes" in err


def test_the_node_learns_who_asks(cli: Cli, home: Home) -> None:
    """`user@host` travels with every call."""
    cli("status")
    assert home.metadata["bosd-client"] == f"{getpass.getuser()}@{socket.gethostname()}"


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        (["b1", "b2", "--reason", "smoke"], pb.StopRequest(names=["b1", "b2"], reason="smoke")),
        (["--node"], pb.StopRequest(node=True)),
        (["--all"], pb.StopRequest(all=True)),
    ],
)
def test_stop_names_its_scope(cli: Cli, home: Home, arguments: list[str], request_: pb.StopRequest) -> None:
    """Batteries by name, the node's, or all it reaches."""
    status, out, _err = cli("--json", "stop", *arguments)
    stopped = json.loads(out)
    assert set(stopped) == {"stopped", "unconfirmed"}
    assert status == (1 if stopped["unconfirmed"] else 0)
    assert home.asked == [request_]


@pytest.mark.parametrize("arguments", [[], ["--node", "--all"], ["b1", "--all"]])
def test_stop_without_one_scope_is_a_usage_error(cli: Cli, home: Home, arguments: list[str]) -> None:
    """What is to be stopped is said once, or nothing is asked."""
    assert cli("stop", *arguments)[0] == 2
    assert home.asked == []


def test_an_unconfirmed_stop_is_named(cli: Cli) -> None:
    """Latched is not the same as confirmed."""
    status, out, _err = cli("stop", "--node")
    assert status == 1
    assert "b1: stopped" in out
    assert "b2: latched, but its device did not confirm" in out
    assert "b2: stopped" not in out


def test_release(cli: Cli) -> None:
    """The names come back."""
    assert document(cli("--json", "release", "b1", "b2")) == {"released": ["b1", "b2"]}


def test_pseudo_changes_only_what_is_named(cli: Cli, home: Home) -> None:
    """Absent keys stay absent in the request."""
    assert document(cli("--json", "pseudo", "agg", "charge_ah=40", "voltage_v=-1.5"))["name"] == "agg"
    assert home.asked == [pb.ModifyPseudoRequest(name="agg", charge_ah=40.0, voltage_v=-1.5)]


def test_refresh_prints_the_fresh_status(cli: Cli, home: Home) -> None:
    """One status object; `--recursive` travels with the call."""
    assert document(cli("--json", "refresh", "agg", "--recursive"))["name"] == "agg"
    assert home.asked == [pb.RefreshRequest(name="agg", recursive=True)]


def test_topology_reads(cli: Cli) -> None:
    """`show` and `history` are documents, `export` is the file itself."""
    shown = document(cli("--json", "topology", "show"))
    assert (shown["revision"], shown["toml"], shown["changed_at"]) == (7, TOML, "2023-11-14T22:13:20.000Z")
    assert [entry["name"] for entry in shown["entries"]] == ["b1", "b2", "agg", "garage-pack"]
    assert cli("topology", "export") == (0, TOML, "")
    assert document(cli("--json", "topology", "export")) == {"node": "home", "revision": 7, "toml": TOML}
    (revision,) = document(cli("--json", "topology", "history"))
    assert (revision["who"], revision["changes"][0]["action"]) == ("ann@desk", "remove")
    assert "spring cleaning" in cli("topology", "history")[1]


def test_plan_changes_nothing_and_apply_does(cli: Cli, home: Home, toml: str) -> None:
    """Both send the whole file; only `apply` moves the revision."""
    planned = document(cli("--json", "topology", "plan", toml))
    assert (planned["revision"], planned["planned"], planned["warnings"]) == (7, True, ["n is used by nothing"])
    assert planned["changes"] == [{"action": "add", "name": "n", "kind": "null", "detail": "48 V"}]
    assert document(cli("--json", "topology", "apply", toml, "--revision", "7", "-m", "why"))["revision"] == 8
    assert [request.edits[0].whole for request in home.asked[:2]] == [NEW, NEW]
    assert (home.asked[-1].expected_revision, home.asked[-1].comment) == (7, "why")


def test_a_device_that_did_not_confirm_is_exit_status_1(cli: Cli, home: Home) -> None:
    """The edit is in force and printed whole, the warning with it; a script sees that somebody has to look."""
    home.unconfirmed = ["b1"]
    status, out, err = cli("rm", "b1")
    assert (status, err) == (1, "")
    assert "revision 8 is in force" in out
    status, out, _ = cli("--json", "rm", "b1")
    assert (status, json.loads(out)["unconfirmed"]) == (1, ["b1"])


def test_a_configuration_file_is_applied_with_a_note(cli: Cli, home: Home, tmp_path: Path) -> None:
    """The daemon's own file may be given; its settings are not applied, and that is said."""
    file = tmp_path / "bosd.toml"
    file.write_text("[node]\nlisten = []\n[security.peers]\n" + NEW)
    status, _, err = cli("topology", "plan", str(file))
    assert (status, err) == (
        0, f"note: {file}: only its topology counts here; [node], [security] is read when the daemon starts\n"
    )  # fmt: skip
    assert home.asked[-1].edits[0].whole == file.read_text()


def test_a_stale_revision_is_refused_with_the_way_on(cli: Cli, toml: str) -> None:
    """Someone else's edit is not overwritten."""
    status, out, err = cli("topology", "apply", toml, "--revision", "3")
    assert (status, out) == (1, "")
    assert "--revision 7" in err


def test_single_edits_are_one_transaction(cli: Cli, home: Home, toml: str) -> None:
    """`add`, `rm` and `replace` are edits of the same call."""
    for arguments in (["add", toml], ["rm", "b1", "b2"], ["replace", "b1", toml]):
        assert document(cli("--json", *arguments))["planned"] is False
    edits = [list(request.edits) for request in home.asked]
    assert edits == [
        [tpb.TopologyEdit(add=NEW)],
        [tpb.TopologyEdit(remove={"name": "b1"}), tpb.TopologyEdit(remove={"name": "b2"})],
        [tpb.TopologyEdit(replace={"name": "b1", "toml": NEW})],
    ]


def test_doctor_counts_and_advises(cli: Cli) -> None:
    """Reachable, revision, batteries by quality, clocks; advice for each battery that is not well."""
    found = document(cli("--json", "doctor"))
    assert (found["node"], found["revision"], found["batteries"]) == ("home", 7, {"GOOD": 2, "STALE": 1, "UNAVAILABLE": 1})
    assert abs(found["clock_difference_s"]) < 2.0
    assert [line.split()[0] for line in found["advice"]] == ["b2", "garage-pack"]
    assert "bosctl refresh b2" in cli("doctor")[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(cli: Cli, shell: str) -> None:
    """Each shell gets a script that asks bosctl itself."""
    status, out, _err = cli("completion", shell)
    assert status == 0
    assert "_BOSCTL_COMPLETE" in out


def test_a_refusal_is_exit_status_1_with_its_data(cli: Cli, home: Home) -> None:
    """Reason, message and metadata as the daemon gave them; nothing on stdout."""
    home.refusal = errors.CurrentOutOfRangeError("80 A is more than 50 A", asked_a=80.0, lower_a=-30.0, upper_a=50.0)
    status, out, err = cli("--json", "set", "b1", "80")
    assert (status, out) == (1, "")
    assert json.loads(err) == {
        "error": {
            "reason": "CURRENT_OUT_OF_RANGE",
            "message": "80 A is more than 50 A",
            "metadata": {"asked_a": "80.0", "lower_a": "-30.0", "upper_a": "50.0"},
        }
    }
    assert "and +50 A (discharging)" in cli("set", "b1", "80")[2]


def test_a_device_that_does_not_answer_is_a_refusal(cli: Cli, home: Home) -> None:
    """The daemon was reached: exit status 1, though the reason is UNAVAILABLE."""
    home.refusal = errors.UnavailableError("b2: no answer on /dev/ttyUSB1")
    status, _out, err = cli("--json", "refresh", "b2")
    assert (status, json.loads(err)["error"]["reason"]) == (1, "UNAVAILABLE")


@pytest.mark.parametrize(
    "arguments",
    [
        ["stat"],
        ["set", "b1"],
        ["set", "b1", "nan"],
        ["set", "b1", "4", "--ttl", "soon"],
        ["set", "b1", "4", "--tll", "3s"],
        ["set", "b1", "none", "--dry-run"],
        ["pseudo", "p", "voltage=3"],
        ["topology", "apply", "/nonexistent/file.toml"],
        ["status", "--target", "nowhere"],
        ["--timeout", "0", "ls"],
        ["reboot", "b1"],
    ],
)
def test_usage_errors_are_exit_status_2_and_ask_nothing(cli: Cli, home: Home, arguments: list[str]) -> None:
    """As JSON too; later commands do not exist yet."""
    status, out, err = cli("--json", *arguments)
    assert (status, out, home.asked) == (2, "", [])
    error = json.loads(err)["error"]
    assert (set(error), error["reason"]) == ({"reason", "message", "metadata"}, "INVALID_ARGUMENT")


def test_a_typing_error_gets_a_suggestion(cli: Cli) -> None:
    """`stat` is nearly `status`."""
    assert "'status'" in cli("stat")[2]


def test_an_unreachable_node_is_exit_status_3(cli: Cli) -> None:
    """Port 1 is nobody's: refused at once, with what to do."""
    status, out, err = cli("--target", "127.0.0.1:1", "--json", "ls")
    assert (status, out) == (3, "")
    assert json.loads(err)["error"] == {
        "reason": "UNAVAILABLE",
        "message": "cannot reach 127.0.0.1:1: connection refused",
        "metadata": {"target": "127.0.0.1:1"},
    }
    assert "bosd run --config" in cli("--target", "127.0.0.1:1", "watch", "b1")[2]


def test_a_node_that_does_not_answer_in_time_is_exit_status_3(cli: Cli, home: Home) -> None:
    """Every call has a deadline, chosen by --timeout."""
    home.answer_after_s = 30.0
    status, _out, err = cli("--timeout", "100ms", "status")
    assert status == 3
    assert "did not answer within 0.1 s" in err


def test_a_unix_socket_is_an_address(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same commands over the node's own socket."""
    with running(home, f"unix:{tmp_path}/s") as address:
        assert run(["--target", address, "--json", "status", "b1"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "b1"


def test_a_node_does_not_adopt_itself(cli: Cli, target: str, home: Home) -> None:
    """Its stubs of itself would be refused for ever: nothing is planned, and it says whom to ask."""
    status, out, err = cli("fleet", "adopt", "home", "--address", target, "--yes")
    assert (status, out) == (1, "")
    assert "home is the asked node itself; ask the one that is to have the stubs" in err
    assert not [each for each in home.asked if isinstance(each, tpb.ApplyTopologyRequest)]
