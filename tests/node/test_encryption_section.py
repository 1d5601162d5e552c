"""What a manifest may say of who can read updates, and how an owner says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from typer.testing import CliRunner

from ledger.errors import BadInput
from ledger.keccak import keccak
from node.cli.app import app
from node.errors import BadManifest
from node.manifest import describe, parse_manifest, render_manifest
from tests.integration.world import write_data
from tests.node import samples

pytestmark = pytest.mark.unit

ENCRYPTED = {"mode": "encrypted"}


def key(name: bytes) -> str:
    secret = X25519PrivateKey.from_private_bytes(keccak(name))
    return "0x" + secret.public_key().public_bytes_raw().hex()


AGGREGATOR, AUDITOR = key(b"aggregator"), key(b"auditor")


def test_manifest__when_updates_are_sealed__then_it_comes_back_and_says_who_reads() -> None:
    section = {"aggregator": AGGREGATOR, "auditors": [AUDITOR]}
    manifest = samples.manifest(privacy=ENCRYPTED, encryption=section)
    assert parse_manifest(render_manifest(manifest)) == manifest
    assert manifest.encryption is not None
    assert manifest.encryption.recipients == (bytes.fromhex(AGGREGATOR[2:]), bytes.fromhex(AUDITOR[2:]))
    assert "only the aggregator and 1 named auditors can read" in describe(manifest)["privacy"]


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"privacy": ENCRYPTED}, "goes with privacy.mode"),
        ({"encryption": {"aggregator": AGGREGATOR}}, "goes with privacy.mode"),
        ({"privacy": ENCRYPTED, "encryption": {"aggregator": AGGREGATOR, "auditors": [AGGREGATOR]}}, "listed twice"),
        ({"privacy": ENCRYPTED, "encryption": {"aggregator": "0x" + "00" * 32}}, "small order"),
        ({"privacy": ENCRYPTED, "encryption": {"aggregator": "0x12"}}, "encryption.aggregator"),
        ({"privacy": ENCRYPTED, "encryption": {"aggregator": AGGREGATOR, "auditors": [AUDITOR] * 16}}, "at most 15"),
    ],
)
def test_manifest__when_the_readers_make_no_sense__then_refused(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(BadManifest, match=words):
        samples.manifest(**sections)


def test_pack__when_sealed__then_the_manifest_names_the_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sealed_model.py").write_text("from torch import nn\n\ndef build():\n    return nn.Linear(4, 3)\n")
    write_data(tmp_path / "holdout.csv", seed=1)
    pack = ["bounty", "pack", "sealed_model:build", "package", "--holdout", "holdout.csv", "--sealed-for", AGGREGATOR]
    said = CliRunner().invoke(app, [*pack, "--sealed-for", AUDITOR])
    assert said.exit_code == 0, said.output
    manifest = parse_manifest((tmp_path / "package" / "manifest.toml").read_bytes())
    assert manifest.encryption is not None
    assert (manifest.encryption.aggregator, manifest.encryption.auditors) == (AGGREGATOR, (AUDITOR,))
    misnamed = CliRunner().invoke(app, ["bounty", "pack", "sealed_model.py:build", "other", "--holdout", "holdout.csv"])
    assert "must be module:function" in str(misnamed.exception)
    again = CliRunner().invoke(app, pack)
    assert isinstance(again.exception, BadInput), "an edited manifest must not be lost"
    masked = CliRunner().invoke(app, [*pack, "--replace", "--masked", "3", "--min-updates", "9"])
    assert isinstance(masked.exception, BadInput)
