"""Ethereum accounts as keystore v3 files: made, listed, opened, and never shown.

A `Key` signs and derives; the private key itself leaves it on no way, and its `repr` hides it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from ledger.errors import BadInput
from ledger.records import Address

SCRYPT_N = 1 << 18
LIGHT_SCRYPT_N = 1 << 12
"""For tests and devnets: a password guessed 64 times faster."""
MAX_SCRYPT_WORK = 1 << 24
"""The largest n * r * p that is computed for a file: 8 times the usual."""
MAX_FILE_BYTES = 64 * 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Secret:
    """A text that must not be seen. `reveal` is for the one who needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"


Password = str | Secret


@dataclass(frozen=True)
class SignedTransaction:
    raw: bytes
    hash: str
    """The transaction's hash, `0x…`."""


@dataclass(frozen=True)
class KeyFile:
    """A keystore file as listed: known without its password."""

    name: str
    address: Address
    path: Path


class Key:
    """An account that can sign."""

    __slots__ = ("_account", "address", "name")

    def __init__(self, account: LocalAccount, name: str = "") -> None:
        self._account = account
        self.address = Address(to_checksum_address(account.address))
        self.name = name

    def __repr__(self) -> str:
        return f"Key({self.address}, ***)"

    def sign_transaction(self, transaction: Mapping[str, Any]) -> SignedTransaction:
        signed = self._account.sign_transaction(dict(transaction))
        return SignedTransaction(bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex())

    def sign_text(self, text: str) -> str:
        """Sign a text that a person can read (EIP-191, `personal_sign`); the signature is `0x…` of 65 bytes."""
        return "0x" + bytes(self._account.sign_message(encode_defunct(text=text)).signature).hex()

    def derive(self, label: bytes) -> bytes:
        """Return 32 bytes that only this key can make, always the same for the same label: HMAC-SHA256.

        Labels start with a name of their use and a version, so that no two uses share a secret.
        """
        return hmac.new(bytes(self._account.key), label, hashlib.sha256).digest()


def new_key() -> Key:
    """Make a key that is kept nowhere."""
    return Key(Account.from_key(secrets.token_bytes(32)))


def text_signer(text: str, signature: str) -> Address | None:
    """Whose `sign_text` made this signature of the text; None if it is no signature at all."""
    try:
        return Address(to_checksum_address(Account.recover_message(encode_defunct(text=text), signature=signature)))
    except Exception:  # the library's own errors are of many kinds, and the signature is a stranger's
        return None


def key_from_secret(private_key: Secret) -> Key:
    """Make a key from its private key in hexadecimal.

    Raises: BadInput, without a word of the secret.
    """
    try:
        return Key(Account.from_key(private_key.reveal()))
    except Exception:
        raise BadInput("That is not a private key: 32 bytes in hexadecimal.") from None


def create_key(directory: Path, name: str, password: Password, *, light: bool = False) -> Key:
    """Make a new key and its file, `name`.json with mode 0600; a file that exists is never touched.

    Raises: BadInput if the name is taken or no plain name, the password is empty, or the folder can't be written.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name[:64]!r} is no key name: letters, digits, dots, dashes and underscores.")
    account = Account.from_key(secrets.token_bytes(32))
    iterations = LIGHT_SCRYPT_N if light else SCRYPT_N
    content = Account.encrypt(account.key, _password(password), kdf="scrypt", iterations=iterations)
    path = directory / f"{name}.json"
    try:
        if not directory.is_dir():
            directory.mkdir(parents=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        if path.exists():
            raise BadInput(f"There is a key {name} in {directory} already. Choose another name.") from error
        raise BadInput(f"The key file {path} can't be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    return Key(account, name)


def list_keys(directory: Path) -> list[KeyFile]:
    """List the keys in a folder by name; other files in it are passed over."""
    found = []
    for path in sorted(directory.glob("*.json")):
        try:
            found.append(KeyFile(path.stem, _address(_read(path)), path))
        except BadInput:
            continue
    return found


def load_key(path_or_name: str | Path, password: Password, directory: Path | None = None) -> Key:
    """Open a key by its file's path, or by its name in `directory`.

    Raises: BadInput if there is no such key, the file is damaged, or the password is wrong.
    """
    path = _find(path_or_name, directory)
    content = _read(path)
    address = _address(content)
    _check_cost(path, content)
    try:
        secret = Account.decrypt(content, _password(password))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise BadInput(f"The password does not open the key {path.stem} ({address}).") from None
        raise BadInput(f"The key file {path} is damaged.") from None
    except (KeyError, TypeError, NotImplementedError, AttributeError, OverflowError):
        raise BadInput(f"The key file {path} is damaged.") from None
    key = Key(Account.from_key(secret), path.stem)
    if key.address != address:
        raise BadInput(f"The key file {path} is damaged: it names another address than its key has.")
    return key


def read_password(
    *, file: Path | None = None, value: str | None = None, prompt: Callable[[], str] | None = None
) -> Secret:
    """Take the password from the first source that is given: a file's first line, a value, a question.

    Raises: BadInput if the file can't be read, no source is given, or the password is empty.
    """
    if file is not None:
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"The password file {file} can't be read: {error}.") from error
        return _nonempty(lines[0] if lines else "", f"The password file {file} is empty.")
    if value is not None:
        return _nonempty(value, "The password is empty.")
    if prompt is not None:
        return _nonempty(prompt(), "The password is empty.")
    raise BadInput("A password is needed: set keys.password_file (FEDBOUNTY_PASSWORD_FILE), or FEDBOUNTY_PASSWORD.")


def _nonempty(text: str, otherwise: str) -> Secret:
    if not text:
        raise BadInput(otherwise)
    return Secret(text)


def _password(password: Password) -> str:
    text = password.reveal() if isinstance(password, Secret) else password
    return _nonempty(text, "The password is empty.").reveal()


def _find(path_or_name: str | Path, directory: Path | None) -> Path:
    named = str(path_or_name)
    if directory is not None and _NAME.fullmatch(named):
        path = directory / f"{named}.json"
        if path.is_file():
            return path
    if Path(path_or_name).is_file():
        return Path(path_or_name)
    known = ", ".join(file.name for file in list_keys(directory)) if directory is not None else ""
    where = f" in {directory} (there: {known or 'none'})" if directory is not None else ""
    raise BadInput(f"There is no key {named[:200]!r}{where}. `fedbounty key new` makes one.")


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(MAX_FILE_BYTES + 1))
    except OSError as error:
        raise BadInput(f"The key file {path} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"The key file {path} is damaged: it is no JSON.") from error
    if not isinstance(content, dict) or content.get("version") != 3:
        raise BadInput(f"The file {path} is no keystore v3.")
    return content


def _address(content: Mapping[str, Any]) -> Address:
    text = str(content.get("address", "")).removeprefix("0x")
    if not re.fullmatch(r"[0-9a-fA-F]{40}", text):
        raise BadInput("A key file without its address is damaged.")
    return Address(to_checksum_address("0x" + text))


def _check_cost(path: Path, content: Mapping[str, Any]) -> None:
    """Refuse parameters that would keep this machine busy or fill its memory."""
    try:
        box = {str(key).lower(): value for key, value in content.items()}["crypto"]
        parameters = box["kdfparams"]
        if box["kdf"] == "scrypt":
            work = int(parameters["n"]) * int(parameters["r"]) * int(parameters["p"])
        else:
            work = int(parameters["c"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"The key file {path} is damaged.") from error
    if not 0 < work <= MAX_SCRYPT_WORK:
        raise BadInput(f"The key file {path} asks for {work} steps of key derivation, more than anybody needs.")
