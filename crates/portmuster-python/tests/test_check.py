"""check: everything that the program does."""

import copy
import itertools
import json
import os
import pickle
import subprocess
import sys

import pytest

import portmuster
from portmuster import _native

FAST = {"probe": "greeting", "per_host": None, "max_missed": None}


def check_one(expression, **settings):
    (outcome,) = portmuster.check(expression, **{**FAST, **settings})
    return outcome


def test_ssh_and_telnet_are_told_apart(serve, refused):
    ssh = serve(b"SSH-2.0-OpenSSH_9.9 sample\r\n")
    telnet = serve(b"\xff\xfd\x18\xff\xfb\x01login: ")
    outcome = check_one(f"127.0.0.1:{ssh.port}")
    assert (outcome.service, outcome.is_open, outcome.open) == ("ssh", True, True)
    assert (outcome.ssh_software, outcome.ssh_comment) == ("OpenSSH_9.9", "sample")
    outcome = check_one(f"127.0.0.1:{telnet.port}", speak_first=False)
    assert (outcome.service, outcome.rule) == ("telnet", "telnet-commands")
    assert outcome.telnet_options == ("do terminal-type", "will echo")
    outcome = check_one(f"127.0.0.1:{refused}")
    assert (outcome.state, outcome.reason, outcome.service) == ("closed", "refused", None)


def test_outcome_has_every_field_of_the_row_the_program_writes(serve):
    server = serve(b"SSH-2.0-OpenSSH_9.9\r\n")
    target = f"127.0.0.1:{server.port}"
    printed = subprocess.run(
        [sys.executable, "-m", "portmuster", "check", "--no-kex", "-q", "-o", "jsonl", target],
        check=True,
        capture_output=True,
        text=True,
    )
    row = json.loads(printed.stdout)
    outcome = check_one(target)
    mine = outcome.as_dict()
    assert list(mine) == list(row)
    for field in json.loads(_native.row_schema())["properties"]:
        value = getattr(outcome, field)
        expected = mine.get(field)
        assert value == (tuple(expected) if isinstance(expected, list) else expected), field
    for field in row.keys() - {"connect_ms", "first_byte_ms", "total_ms", "time"}:
        assert mine[field] == row[field], field
    assert json.loads(json.dumps(mine)) == mine


def kex_init(method):
    """Returns an offer of an ssh server with one method of key exchange (RFC 4253, section 7.1)."""
    names = [method, b"ssh-ed25519", *[b"aes128-ctr"] * 2, *[b"hmac-sha2-256"] * 2, *[b"none"] * 2]
    lists = b"".join(len(name).to_bytes(4) + name for name in [*names, b"", b""])
    payload = b"\x14" + bytes(16) + lists + bytes(5)
    padding = 4 + -(5 + len(payload) + 4) % 8
    return (1 + len(payload) + padding).to_bytes(4) + bytes([padding]) + payload + bytes(padding)


def test_host_keys_say_why_one_is_missing(serve):
    server = serve(b"SSH-2.0-OpenSSH_9.9\r\n" + kex_init(b"mlkem768x25519-sha256"))
    target = f"127.0.0.1:{server.port}"
    settings = {"per_host": None, "max_missed": None}
    (asked,) = portmuster.check(target, host_keys="first", **settings)
    assert (asked.host_keys, asked.host_key_missing) == (None, "no-method")
    (unasked,) = portmuster.check(target, **settings)
    assert (unasked.host_keys, unasked.host_key_missing) == (None, None)
    with pytest.raises(ValueError, match="host_keys"):
        portmuster.check(target, host_keys="some")


def test_outcome_is_frozen_hashable_and_pickles(serve):
    server = serve(b"SSH-2.0-OpenSSH_9.9\r\n")
    outcome = check_one(f"127.0.0.1:{server.port}")
    for same in [pickle.loads(pickle.dumps(outcome)), copy.copy(outcome)]:
        assert same == outcome
        assert hash(same) == hash(outcome)
        assert same.as_dict() == outcome.as_dict()
        assert (same.banner, same.is_open) == (outcome.banner, True)
    assert outcome != check_one(f"127.0.0.1:{server.port}")
    assert outcome != 1
    for name in ["host", "banner", "extra"]:
        with pytest.raises(AttributeError):
            setattr(outcome, name, "x")
    expected = f"Outcome(host='127.0.0.1', port={server.port}, state='open', service='ssh')"
    assert repr(outcome) == expected
    assert portmuster.Outcome.banner.__doc__ == "The greeting, if it is UTF-8."


def test_networks_tuples_labels_and_files_are_targets(refused, tmp_path):
    listed = tmp_path / "hosts.txt"
    listed.write_text(f"127.0.8.1:{refused}  the rack\n127.0.8.2:{refused}\n")
    table = tmp_path / "hosts.csv"
    table.write_text(f"ip,port,name\n127.0.8.3,{refused},alice\n")
    targets = [
        f"127.0.9.0/30:{refused}",
        f"127.0.9.0/31:{refused}",
        ("127.0.8.4", refused),
        ["127.0.8.5", refused, "moved"],
    ]
    checks = portmuster.check(targets, files=[listed, os.fspath(table)], **FAST)
    labels = {outcome.host: outcome.label for outcome in checks}
    assert labels == {
        "127.0.9.0": None,
        "127.0.9.1": None,
        "127.0.9.2": None,
        "127.0.9.3": None,
        "127.0.8.1": "the rack",
        "127.0.8.2": None,
        "127.0.8.3": "alice",
        "127.0.8.4": None,
        "127.0.8.5": "moved",
    }


def test_settings_select_and_order_the_targets(refused, tmp_path):
    excluded = tmp_path / "fragile.txt"
    excluded.write_text("127.0.9.3\n")
    settings = {"ports": str(refused), "exclude": "127.0.9.1", "exclude_files": excluded, **FAST}
    hosts = [it.host for it in portmuster.check("127.0.9.0/29", **settings)]
    assert sorted(hosts) == [f"127.0.9.{number}" for number in (0, 2, 4, 5, 6, 7)]
    parts = [
        {it.host for it in portmuster.check("127.0.9.0/29", shard=f"{part}/2", **settings)}
        for part in (1, 2)
    ]
    assert parts[0] | parts[1] == set(hosts)
    assert not parts[0] & parts[1]
    serial = portmuster.check("127.0.9.0/29", order="given", method="serial", **settings)
    assert [it.host for it in serial] == sorted(hosts)


def test_iterator_of_expressions_may_be_endless(refused):
    endless = (f"127.0.{number & 255}.0/30:{refused}" for number in itertools.count())
    with portmuster.check(endless, in_flight=64, **{**FAST, "rate": None}) as checks:
        assert len(list(itertools.islice(checks, 3000))) == 3000


def test_account_sums_the_outcomes(serve, refused):
    server = serve(b"SSH-2.0-OpenSSH_9.9\r\n")
    checks = portmuster.check(f"127.0.0.1:{server.port},{refused}", **FAST)
    assert len(list(checks)) == 2
    account = checks.account
    assert (account.targets, account.open, account.closed, account.left) == (2, 1, 1, 0)
    assert account.services == {"ssh": 1}
    assert account.as_dict()["services"] == {"ssh": 1}
    assert account.elapsed > 0
    assert repr(account).startswith("Account(targets=2, open=1, closed=1, ")


def test_certainty_is_stated_if_it_is_estimated(refused):
    checks = portmuster.check(f"127.0.0.1:{refused}", probe="connect")
    list(checks)
    assert checks.certainty.silent == 0
    checks = portmuster.check(f"127.0.0.1:{refused}", **FAST)
    list(checks)
    assert checks.certainty is None


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("10.0.0.300", 'TargetError: "10.0.0.300", column 1: '),
        (["127.0.0.1:1", "a b:22"], 'target 1: "a b:22", column 2: '),
        ([("127.0.0.1", 1), 5], "target 1: expected an expression such as"),
        ([("127.0.0.1", 0)], "target 0: "),
        ([("127.0.0.1", 1, 5)], "target 0: expected a text as label, not 5"),
        ([], "there is no target"),
        ("0.0.0.0/0:1-65535", "targets are too many for one run"),
    ],
)
def test_bad_targets_are_refused_at_once(targets, message):
    with pytest.raises(portmuster.TargetError) as raised:
        portmuster.check(targets)
    assert message.removeprefix("TargetError: ") in str(raised.value)


RECOG = """<fingerprints matches="ssh.banner">
<fingerprint pattern="^Sample_(\\S+)"><description>A sample</description>
<param pos="0" name="service.vendor" value="Samples"/><param pos="0" name="service.product" value="Sampled"/>
<param pos="1" name="service.version"/></fingerprint></fingerprints>
"""


def test_software_is_named_by_files_of_recog(serve, tmp_path):
    server = serve(b"SSH-2.0-Sample_1.5\r\n")
    target = f"127.0.0.1:{server.port}"
    (tmp_path / "ssh_banners.xml").write_text(RECOG)
    outcome = check_one(target, recog=tmp_path)
    assert (outcome.vendor, outcome.product, outcome.version) == ("Samples", "Sampled", "1.5")
    assert check_one(target, recog=None).product is None
    with pytest.raises(FileNotFoundError, match="missing"):
        portmuster.check(target, recog=tmp_path / "missing")
    (tmp_path / "ssh_banners.xml").write_text(RECOG.replace("_(", "_(("))
    with pytest.raises(portmuster.SettingError, match=r"recog: .*ssh_banners\.xml"):
        portmuster.check(target, recog=str(tmp_path))


def test_bad_file_is_named(tmp_path):
    listed = tmp_path / "hosts.txt"
    listed.write_text("127.0.0.1:1\n10.0.0.300\n")
    with pytest.raises(portmuster.TargetError, match="hosts.txt, line 2, column 1: "):
        portmuster.check(files=listed)
    with pytest.raises(FileNotFoundError) as raised:
        portmuster.check(files=tmp_path / "missing")
    assert raised.value.filename == os.fspath(tmp_path / "missing")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"rates": 5}, TypeError, "'?\"?rates\"?'?: did you mean rate"),
        ({"ports": "ftps:1"}, portmuster.SettingError, "ports takes ports, such as"),
        ({"ports": 22}, portmuster.SettingError, "ports takes ports, .* this is 22"),
        ({"probe": "all"}, portmuster.SettingError, 'probe takes one of "key-exchange"'),
        ({"shard": "3/2"}, portmuster.SettingError, "shard takes M/N"),
        ({"max_missed": 2}, portmuster.SettingError, "max_missed takes a share"),
        ({"max_missed": "1%", "retries": 0}, portmuster.SettingError, "remove one"),
        ({"retries": -1}, portmuster.SettingError, "retries takes a whole number from 0"),
        ({"evidence": "yes"}, portmuster.SettingError, "evidence takes True or False"),
        ({"files": 5}, portmuster.SettingError, "files takes a list"),
        ({"host_timeout": 0}, portmuster.SettingError, "`host_timeout` must be greater"),
    ],
)
def test_bad_setting_is_an_error_that_names_it(settings, error, message):
    with pytest.raises(error, match=message):
        portmuster.check("127.0.0.1:1", **settings)
