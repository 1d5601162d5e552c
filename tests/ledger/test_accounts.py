"""Keystore files: made once, opened with the right password, never shown."""

from __future__ import annotations

import hashlib
import hmac
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from ledger.accounts import (
    Key,
    Secret,
    create_key,
    key_from_secret,
    list_keys,
    load_key,
    new_key,
    read_password,
)
from ledger.errors import BadInput

pytestmark = pytest.mark.unit

SECRET = "0x" + "11" * 32


@pytest.fixture
def made(tmp_path: Path) -> Key:
    return create_key(tmp_path, "alice", "open sesame", light=True)


def spoilt(path: Path, **changes: Any) -> None:
    """Rewrite a key file with some of its `crypto` entries changed."""
    content = json.loads(path.read_text())
    content["crypto"].update(changes)
    path.write_text(json.dumps(content))


def test_load_key__when_given_name_or_path_and_password__then_opens_the_same_key(made: Key, tmp_path: Path) -> None:
    for given, directory in (
        ("alice", tmp_path),
        (tmp_path / "alice.json", None),
        (str(tmp_path / "alice.json"), None),
    ):
        opened = load_key(given, Secret("open sesame"), directory)
        assert (opened.address, opened.name) == (made.address, "alice")
        assert opened.derive(b"x") == made.derive(b"x")


def test_create_key__then_the_file_is_private_and_a_standard_keystore(made: Key, tmp_path: Path) -> None:
    path = tmp_path / "alice.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = json.loads(path.read_text())
    assert (content["version"], content["crypto"]["kdf"]) == (3, "scrypt")
    assert key_from_secret(Secret(bytes(Account.decrypt(content, "open sesame")).hex())).address == made.address


def test_create_key__when_not_light__then_takes_the_usual_work(tmp_path: Path) -> None:
    create_key(tmp_path, "slow", "x")
    parameters = json.loads((tmp_path / "slow.json").read_text())["crypto"]["kdfparams"]
    assert parameters["n"] == 1 << 18


def test_create_key__when_the_name_is_taken__then_refuses_and_keeps_the_file(made: Key, tmp_path: Path) -> None:
    before = (tmp_path / "alice.json").read_bytes()
    with pytest.raises(BadInput, match="There is a key alice"):
        create_key(tmp_path, "alice", "other", light=True)
    assert (tmp_path / "alice.json").read_bytes() == before


@pytest.mark.parametrize("name", ["", ".", "..", "../alice", "a/b", "-x", "a\x00b", "a\n", "é", "x" * 65])
def test_create_key__when_the_name_is_no_plain_name__then_refuses(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="is no key name"):
        create_key(tmp_path, name, "x", light=True)
    assert list(tmp_path.iterdir()) == []


def test_create_key__when_the_folder_is_a_file__then_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="can't be written"):
        create_key(tmp_path / "file", "alice", "x", light=True)


def test_load_key__when_the_password_is_wrong__then_says_which_key(made: Key, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"does not open the key alice .{made.address}") as caught:
        load_key("alice", "open barley", tmp_path)
    assert "barley" not in str(caught.value)


def test_load_key__when_the_name_is_unknown__then_lists_those_there_are(made: Key, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no key 'bob' in .* \(there: alice\)"):
        load_key("bob", "x", tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"version": 4}', b'{"version": 3}', b"[" * 50_000, b" " * 70_000,
     b'{"version": 3, "address": "00"}', b'{"version": 3, "address": "' + b"0" * 40 + b'", "crypto": 5}'],
)  # fmt: skip
def test_load_key__when_the_file_is_no_keystore__then_refuses(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        load_key(path, "x")
    assert [file.name for file in list_keys(tmp_path)] in ([], ["bad"])


@pytest.mark.parametrize(
    "changes",
    [
        {"kdf": "rot13"},
        {"kdfparams": {}},
        {"kdfparams": "none"},
        {"ciphertext": "zz"},
        {"cipherparams": {}},
        {"mac": 5},
        {"kdfparams": {"n": 1 << 40, "r": 8, "p": 1, "dklen": 32, "salt": "00"}},
        {"kdfparams": {"n": -8, "r": 8, "p": 1, "dklen": 32, "salt": "00"}},
        {"kdfparams": {"n": 3, "r": 8, "p": 1, "dklen": 32, "salt": "00"}},
        {"kdf": "pbkdf2", "kdfparams": {"c": 10**12, "prf": "hmac-sha256", "dklen": 32, "salt": "00"}},
    ],
)
def test_load_key__when_the_file_is_damaged_or_hostile__then_refuses(
    made: Key, tmp_path: Path, changes: dict[str, Any]
) -> None:
    spoilt(tmp_path / "alice.json", **changes)
    with pytest.raises(BadInput):
        load_key("alice", "open sesame", tmp_path)


def test_load_key__when_the_file_names_another_address__then_refuses(made: Key, tmp_path: Path) -> None:
    path = tmp_path / "alice.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"address": "00" * 20}))
    with pytest.raises(BadInput, match="names another address"):
        load_key("alice", "open sesame", tmp_path)


def test_list_keys__when_there_are_other_files__then_lists_the_keys_by_name(tmp_path: Path) -> None:
    made = [create_key(tmp_path, name, "x", light=True) for name in ("zoe", "adam")]
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "readme").write_text("")
    assert [(key.name, key.address) for key in list_keys(tmp_path)] == [
        ("adam", made[1].address),
        ("zoe", made[0].address),
    ]
    assert list_keys(tmp_path / "nowhere") == []


def test_derive__then_is_hmac_of_the_private_key() -> None:
    key = key_from_secret(Secret(SECRET))
    expected = hmac.new(bytes.fromhex(SECRET[2:]), b"fedbounty/salt/1", hashlib.sha256).digest()
    assert key.derive(b"fedbounty/salt/1") == expected
    assert key.derive(b"fedbounty/salt/2") != expected
    assert new_key().derive(b"fedbounty/salt/1") != expected


def test_repr__of_keys_and_secrets__then_shows_nothing_secret() -> None:
    key = key_from_secret(Secret(SECRET))
    assert repr(key) == f"Key({key.address}, ***)"
    assert f"{Secret(SECRET)!r} {Secret(SECRET)}" == "*** ***"
    assert "11" * 8 not in repr(vars(Secret)) + str(key)


@pytest.mark.parametrize("text", ["", "0x", "zz" * 32, "0x" + "00" * 32, "ff" * 32, "11" * 31])
def test_key_from_secret__when_no_private_key__then_refuses_without_repeating_it(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        key_from_secret(Secret(text))
    assert not text or text not in str(caught.value)
    assert caught.value.__cause__ is None


def test_read_password__from_each_source__then_the_first_given_counts(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from file\nsecond line\n")
    assert read_password(file=file, value="v", prompt=lambda: "p").reveal() == "from file"
    assert read_password(value="v", prompt=lambda: "p").reveal() == "v"
    assert read_password(prompt=lambda: "p").reveal() == "p"


@pytest.mark.parametrize("content", [b"", b"\nx", b"\xff"])
def test_read_password__when_the_file_has_none__then_refuses(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=r"password file"):
        read_password(file=file)


def test_read_password__when_there_is_no_source_or_no_text__then_refuses(tmp_path: Path) -> None:
    for options in ({}, {"value": ""}, {"prompt": str}, {"file": tmp_path / "none"}):
        with pytest.raises(BadInput, match=r"[Pp]assword"):
            read_password(**options)  # type: ignore[arg-type]
