"""Settings: one frozen value, built once from a TOML file, the environment and the command line.

The only module that reads the environment. Order of precedence: command line, environment, file, default.
The file is `--config`, else FEDBOUNTY_CONFIG, else `fedbounty.toml` in the working directory, else the one in the
user's configuration directory.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from platformdirs import user_config_path, user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ledger.errors import BadInput

FILE_NAME = "fedbounty.toml"

SECRET_LENGTH = 12
"""Parts of an endpoint's address that are so long are taken for keys."""

_ENVIRONMENT = {
    "FEDBOUNTY_RPC_URL": ("chain", "rpc_url"),
    "ETH_RPC_URL": ("chain", "rpc_url"),
    "FEDBOUNTY_CHAIN_ID": ("chain", "chain_id"),
    "FEDBOUNTY_MARKET": ("chain", "market"),
    "FEDBOUNTY_EVALUATIONS": ("chain", "evaluations"),
    "FEDBOUNTY_TOKEN": ("chain", "token"),
    "FEDBOUNTY_CONFIRMATIONS": ("chain", "confirmations"),
    "FEDBOUNTY_IPFS_API": ("ipfs", "api"),
    "FEDBOUNTY_IPFS_PEERS": ("ipfs", "peers"),
    "FEDBOUNTY_KEYSTORE": ("keys", "directory"),
    "ETH_KEYSTORE": ("keys", "directory"),
    "FEDBOUNTY_ACCOUNT": ("keys", "account"),
    "FEDBOUNTY_PASSWORD_FILE": ("keys", "password_file"),
    "FEDBOUNTY_HOME": ("home",),
    "FEDBOUNTY_METRICS_PORT": ("metrics", "port"),
    "FEDBOUNTY_CURVES": ("curves", "directory"),
    "FEDBOUNTY_LOG_JSON": ("logs", "json"),
    "FEDBOUNTY_LOG_FILE": ("logs", "file"),
}


class BadSettings(BadInput):
    def __init__(self, source: str, problems: list[str]) -> None:
        self.source, self.problems = source, problems
        super().__init__(f"The settings ({source}) are wrong: {'; '.join(problems)}.")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChainSettings(_Section):
    rpc_url: str = "http://127.0.0.1:8545"
    chain_id: Annotated[int, Field(gt=0)] | None = None
    """Refuse any other chain; None accepts what answers."""
    market: str = ""
    """Address of the TrainingMarket contract."""
    evaluations: str = ""
    """Address of the EvaluationMarket contract."""
    token: str = ""
    """The ERC-20 token that new bounties are paid in."""
    poll_seconds: Annotated[float, Field(gt=0, le=600)] = 2.0
    confirmations: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Blocks that must lie above a block before it is mirrored; None: 0 on a devnet, 12 elsewhere."""


class IpfsSettings(_Section):
    api: str = "http://127.0.0.1:5001"
    """A Kubo RPC endpoint."""
    peers: tuple[str, ...] = ()
    """Multiaddresses of peers to connect to at start."""
    fetch_seconds: Annotated[float, Field(gt=0)] = 60.0


class KeySettings(_Section):
    directory: Path = Field(default_factory=lambda: user_data_path("fedbounty") / "keystore")
    account: str = ""
    password_file: Path | None = None


class MetricsSettings(_Section):
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Where a daemon serves its metrics, on loopback; 0 takes a free port, None serves none."""


class CurvesSettings(_Section):
    directory: str = ""
    """Where training curves are written; empty: `curves` in the home; `off`: nowhere."""


class LogSettings(_Section):
    json_lines: Annotated[bool, Field(alias="json")] = False
    file: Path | None = None


class Settings(_Section):
    """Everything that a command needs to know about its surroundings."""

    chain: ChainSettings = ChainSettings()
    ipfs: IpfsSettings = IpfsSettings()
    keys: KeySettings = Field(default_factory=KeySettings)
    metrics: MetricsSettings = MetricsSettings()
    curves: CurvesSettings = CurvesSettings()
    logs: LogSettings = LogSettings()
    home: Path = Field(default_factory=lambda: user_data_path("fedbounty"))
    """Journals, caches and the embedded nodes' repositories."""

    @property
    def curves_folder(self) -> Path | None:
        """Where training curves are written; None: nowhere."""
        given = self.curves.directory
        return None if given == "off" else Path(given).expanduser() if given else self.home / "curves"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not be logged: the environment's password, and what endpoints' addresses hold of keys."""
        found = [environment_password() or ""]
        for address in (self.chain.rpc_url, self.ipfs.api):
            found += _secrets_in(address)
        return tuple(one for one in found if one)


def load_settings(path: Path | None = None, overrides: Mapping[tuple[str, ...], Any] | None = None) -> Settings:
    """Read the settings.

    path:      an explicit file; it must exist.
    overrides: values given on the command line, by section and name.
    Raises: BadSettings naming every problem at once.
    """
    source = _settings_file(path)
    values = _read(source) if source else {}
    for name, place in _ENVIRONMENT.items():
        if os.environ.get(name) and not (name.startswith("ETH_") and _is_set(values, place)):
            _put(values, place, _from_text(place, os.environ[name]))
    for place, value in (overrides or {}).items():
        _put(values, place, value)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise BadSettings(str(source or "environment"), problems) from error


def environment_password(name: str = "FEDBOUNTY_PASSWORD") -> str | None:
    """A key's password from the environment, if it is set there."""
    return os.environ.get(name)


def _secrets_in(address: str) -> list[str]:
    """A password, long parts of the path and values of the query: where providers of endpoints put their keys."""
    try:
        parts = urlsplit(address)
        password = parts.password or ""
    except ValueError:
        return []
    queried = [value for _, value in parse_qsl(parts.query)]
    return [password, *(one for one in (*parts.path.split("/"), *queried) if len(one) >= SECRET_LENGTH)]


def _settings_file(path: Path | None) -> Path | None:
    named = path or (Path(os.environ["FEDBOUNTY_CONFIG"]) if os.environ.get("FEDBOUNTY_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise BadSettings(str(named), ["there is no such file"])
        return named
    places = (Path.cwd() / FILE_NAME, user_config_path("fedbounty") / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def _read(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadSettings(str(source), [str(error)]) from error


def _from_text(place: tuple[str, ...], text: str) -> Any:
    return [part.strip() for part in text.split(",") if part.strip()] if place[-1] == "peers" else text


def _is_set(values: dict[str, Any], place: tuple[str, ...]) -> bool:
    section = values.get(place[0])
    return isinstance(section, dict) and place[-1] in section


def _put(values: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    *sections, name = place
    for section in sections:
        inner = values.setdefault(section, {})
        values = inner if isinstance(inner, dict) else values
    values[name] = value
