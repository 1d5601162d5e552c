"""Packages, data and amounts that are refused on the command line, before anything is spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.records import BountyId
from node.manifest import render_manifest
from node.package.export import MANIFEST_FILE, TRAIN_FILE
from node.posting import publish_package, read_package, terms_for
from tests.cli.shell import Shell
from tests.integration.world import COLUMNS, World

pytestmark = pytest.mark.integration


# --- packages and data ---


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[task]\n", '[task]\ncolour = "blue"\n', "task.colour"),
        ('loss = "cross_entropy"\n', "", "task.loss"),
        ("[task]\n", "[task\n", "is not TOML"),
    ],
    ids=["unknown", "missing", "no TOML"],
)
def test_post__when_the_manifest_has_wrong_keys__then_names_them(
    shell: Shell, package: Path, old: str, new: str, words: str
) -> None:
    manifest = package / MANIFEST_FILE
    assert old in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(old, new))
    assert words in shell.refused(2, "bounty", "post", str(package), "--pot", "10", "--yes")


def test_post__when_a_file_is_missing__then_names_it(shell: Shell, package: Path) -> None:
    (package / TRAIN_FILE).unlink()
    assert f"has no {TRAIN_FILE}" in shell.refused(2, "bounty", "post", str(package), "--pot", "10", "--yes")


def test_post__when_the_program_is_hostile__then_refused(shell: Shell, package: Path) -> None:
    (package / TRAIN_FILE).write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    said = shell.refused(2, "bounty", "post", str(package), "--pot", "10", "--yes")
    assert f"The program {TRAIN_FILE} is refused" in said


def posted_with(world: World, package: Path, old: str, new: str) -> BountyId:
    """A bounty whose manifest was changed after the owner's own checks."""
    owner, merger = world.party("owner"), world.party("merger")
    manifest = read_package(package)
    publish_package(owner.store, package, manifest)
    changed = render_manifest(manifest).decode().replace(old, new)
    assert changed != render_manifest(manifest).decode()
    terms = terms_for(world.offer(merger.address), manifest, owner.store.add(changed.encode()))
    account = world.account(owner)
    world.token.ensure_allowance(account.transactor, world.market.address, terms.pot)
    return account.writer.post(terms)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[task]\n", '[task]\ncolour = "blue"\n', "task.colour"),
        ("bits = 14", "bits = 12", "squaredNormBound"),
        ('kind = "parameter"', 'kind = "buffer"', "is refused"),
    ],
    ids=["unknown key", "another bound", "other tensors"],
)
def test_provide__when_the_bounty_lies__then_refused_before_anything_is_spent(
    world: World, shell: Shell, package: Path, data: str, old: str, new: str, words: str
) -> None:
    bounty = posted_with(world, package, old, new)
    done = shell.run("provide", str(bounty), "--data", data, "--yes")
    assert done.code in (1, 2)
    assert words in done.err
    assert "Traceback" not in done.err
    assert shell.possessions() == shell.before


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ((*COLUMNS[:3], "label"), ("1", "1", "1", "0"), "d"),
        ((*COLUMNS, "label"), ("1", "1", "1", "1", "9"), "9"),
        ((*COLUMNS, "label"), ("1", "1", "1", "99", "0"), "outside -8 .. 8"),
        ((*COLUMNS, "label"), ("1", "1", "1", "many", "0"), "many"),
        ((*COLUMNS, "kind"), ("1", "1", "1", "1", "0"), "label"),
    ],
    ids=["a column less", "unknown class", "out of range", "no number", "no label"],
)
def test_provide__when_the_data_does_not_fit__then_names_what(
    shell: Shell, bounty: BountyId, header: tuple[str, ...], row: tuple[str, ...], words: str
) -> None:
    path = shell.party.home / "bad.csv"
    path.write_text("\n".join([",".join(header), *[",".join(row)] * 8]) + "\n")
    said = shell.refused(2, "provide", str(bounty), "--data", str(path), "--yes")
    assert "can't be used" in said
    assert words in said


def test_provide__when_there_is_no_such_file__then_names_it(shell: Shell, bounty: BountyId) -> None:
    assert "nowhere.csv" in shell.refused(2, "provide", str(bounty), "--data", "/nowhere.csv", "--yes")


# --- amounts and times ---


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--pot", "a lot", "is not an amount"),
        ("--pot", "-1", "must be between"),
        ("--pot", "0", "the pot is 0"),
        ("--pot", "nan", "must be between"),
        ("--pot", "1e40", "must be between"),
        ("--bond", "0", "the bond is 0"),
        ("--stake", "0.0000000000000000001", "decimals"),
        ("--commit-time", "soon", "is not a duration"),
        ("--reveal-time", "0s", "is not a duration"),
        ("--merge-time", "9999d", "is not a duration"),
        ("--commit-time", "100d", "commit windows"),
        ("--max-updates", "2", "quorum"),
        ("--aggregator", "0x1234", "is not an Ethereum address"),
    ],
)
def test_post__when_an_amount_or_a_time_is_nonsense__then_refused(
    shell: Shell, package: Path, option: str, value: str, words: str
) -> None:
    pot = [] if option == "--pot" else ["--pot", "10"]
    assert words in shell.refused(2, "bounty", "post", str(package), *pot, f"{option}={value}", "--yes")
