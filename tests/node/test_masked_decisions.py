"""What provider and aggregator do in masked rounds, and what a release is bound to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ledger.cid import Digest
from ledger.history import build_history
from ledger.records import BountyId, Event, Money, Phase, RewardRule, Timestamp, Wei
from node.aggregator import decisions as aggregator
from node.aggregator.decisions import AggregatorView
from node.cli.app import app
from node.errors import BadManifest
from node.journal import MadeUpdate, Scope
from node.manifest import describe, parse_manifest
from node.masking.errors import AlreadyDecided
from node.masking.unmasking import Lists
from node.masking_section import MaskingSection
from node.posting import BadOffer, Offer, check_offer, terms_for
from node.provider import decisions as provider
from node.provider.decisions import ProviderView
from node.provider.masked_view import MaskedView, drawn_in, too_little_noise
from node.provider.release_journal import BrokenReleases, MasksUsed, ReleaseJournal
from tests import builders as make
from tests.integration.world import write_data
from tests.masked_group import MaskedGroup, group_with
from tests.node import samples

pytestmark = pytest.mark.unit

SEAT = MaskedGroup(group_with([0, 1, 2])).seat(1)
SUMMARY = '{"groups": "' + drawn_in(SEAT)["groups"] + '"}'
MADE = MadeUpdate(1, Digest(make.word("cid")), make.word("root"), make.word("base"), SUMMARY)
JOINED: list[Event] = [make.posted(), make.joined(make.ALICE, 0), make.opened(1, 3)]
SCOPE = Scope(31337, make.OWNER, make.BOUNTY, make.ALICE)
NOISY = {"mode": "masked", "update_noise": 32, "honest": 3, "delta": 1e-5}
SECTIONS = {"privacy": {"mode": "masked"}, "masking": {"group": 5, "threshold": 3}}


def provider_view(phase: Phase, masked: MaskedView | None, made: MadeUpdate | None = None) -> ProviderView:
    return ProviderView(
        now=Timestamp(1005),
        account=make.ALICE,
        terms=make.terms(),
        clock=make.clock(phase, 1),
        standing=make.standing(),
        open_commitment=None,
        history=build_history(JOINED),
        made=made,
        vested_total=Wei(0),
        masked=masked,
    )


def test_decide__when_no_transaction_opened_the_round__then_the_provider_has_it_opened() -> None:
    assert provider.decide(provider_view(Phase.COMMIT, MaskedView(unopened=True))) == [provider.OpenRound()]


def test_decide__when_it_has_no_seat_yet__then_the_provider_waits() -> None:
    assert provider.decide(provider_view(Phase.COMMIT, MaskedView())) == []
    assert provider.decide(provider_view(Phase.COMMIT, MaskedView(seat=SEAT))) == [provider.Train(1, None)]
    assert provider.decide(provider_view(Phase.COMMIT, MaskedView(seat=SEAT), MADE)) == [provider.Commit(MADE)]


def test_decide__when_the_update_was_masked_in_other_groups__then_it_is_not_sent() -> None:
    for summary in ("{}", SUMMARY.replace(drawn_in(SEAT)["groups"][:8], "00000000")):
        other = replace(MADE, summary=summary)
        assert provider.decide(provider_view(Phase.COMMIT, MaskedView(seat=SEAT), other)) == []


@pytest.mark.parametrize("phase", [Phase.MERGE, Phase.OPEN_MERGE])
def test_decide__when_the_reveals_are_over__then_shares_are_released_once(phase: Phase) -> None:
    due = MaskedView(seat=SEAT, release_due=True)
    assert provider.decide(provider_view(phase, due)) == [provider.Release(1, SEAT)]
    assert provider.decide(provider_view(phase, MaskedView(seat=SEAT))) == []
    assert provider.decide(provider_view(phase, None)) == []
    assert provider.decide(provider_view(Phase.REVEAL, due)) == []


def aggregator_view(**changes: Any) -> AggregatorView:
    base = AggregatorView(
        now=Timestamp(1001),
        account=make.AGGREGATOR,
        terms=make.terms(),
        clock=replace(make.clock(Phase.MERGE), started_at=Timestamp(1000), ends_at=Timestamp(1010)),
        money=Money(owed=Wei(300), free=Wei(600)),
        bond=Wei(50),
        bond_locked_until=Timestamp(0),
        history=build_history(JOINED),
    )
    return replace(base, **changes)


def test_decide__when_shares_may_still_come__then_the_aggregator_gathers_until_half_of_its_time_has_passed() -> None:
    assert aggregator.decide(aggregator_view(shares_due=True)) == [aggregator.Gather(1)]
    assert aggregator.decide(aggregator_view(shares_due=True, now=Timestamp(1004))) == [aggregator.Gather(1)]
    assert aggregator.decide(aggregator_view(shares_due=True, now=Timestamp(1005))) == [aggregator.Merge(1)]
    assert aggregator.decide(aggregator_view()) == [aggregator.Merge(1)]


@pytest.mark.parametrize(
    ("view", "made", "why"),
    [
        (MaskedView(seat=SEAT, masked=MADE.root), MADE, ""),
        (MaskedView(seat=SEAT, masked=make.word("lost")), MADE, "tell how the two differ"),
        (MaskedView(seat=SEAT, masked=make.word("lost")), None, "tell how the two differ"),
        (MaskedView(refusal="too little noise"), None, "too little noise"),
        (MaskedView(seat=SEAT), replace(MADE, summary="{}"), "other groups"),
    ],
)
def test_decide__when_the_masks_were_used_for_another_update__then_none_is_made_or_sent(
    view: MaskedView, made: MadeUpdate | None, why: str
) -> None:
    assert why in view.held_back(made)
    assert bool(provider.decide(provider_view(Phase.COMMIT, view, made))) == (not why)


def test_too_little_noise__when_a_group_is_smaller_than_the_manifest_says__then_refused() -> None:
    whole, small = group_with(range(5), threshold=3), group_with(range(3), threshold=2)
    assert too_little_noise(whole, 3) == too_little_noise(small, 0) == too_little_noise(small, 2) == ""
    assert "group of 3 may have only that of 2" in too_little_noise(small, 3)


def releases(home: Path, first_block: str = "first block") -> ReleaseJournal:
    return ReleaseJournal(home / "home" / "releases.sqlite", make.word(first_block))


def test_release_journal__when_the_lists_are_the_same__then_a_restart_goes_on(tmp_path: Path) -> None:
    for _ in range(2):
        releases(tmp_path).decide(SCOPE, 1, b"groups 1", Lists((0, 1), (2,)))
    releases(tmp_path).decide(SCOPE, 2, b"groups 2", Lists((0, 1, 2), ()))
    releases(tmp_path).decide(replace(SCOPE, provider=make.BOB), 1, b"groups 1", Lists((0, 2), (1,)))
    releases(tmp_path, "a devnet started anew").decide(SCOPE, 1, b"its groups", Lists((0, 2), (1,)))


@pytest.mark.parametrize(
    ("groups", "lists"),
    [(b"groups", Lists((0, 2), (1,))), (b"groups", Lists((0, 1, 2), ())), (b"x", Lists((0, 1), (2,)))],
)
def test_release_journal__when_a_reorganisation_changed_the_lists__then_nothing_more_is_released(
    tmp_path: Path, groups: bytes, lists: Lists
) -> None:
    releases(tmp_path).decide(SCOPE, 1, b"groups", Lists((0, 1), (2,)))
    with pytest.raises(AlreadyDecided, match="Nothing more is released"):
        releases(tmp_path).decide(SCOPE, 1, groups, lists)


@pytest.mark.parametrize("lie", [{"chain_id": 1}, {"market": make.BOB}, {"bounty": BountyId(77)}, {}])
def test_release_journal__when_an_endpoint_lies_about_its_chain__then_the_same_groups_get_no_second_list(
    tmp_path: Path, lie: dict[str, Any]
) -> None:
    releases(tmp_path).decide(SCOPE, 1, b"groups", Lists((0, 1), (2,)))
    with pytest.raises(AlreadyDecided):
        releases(tmp_path, "another first block").decide(replace(SCOPE, **lie), 1, b"groups", Lists((0, 1, 2), ()))


def test_release_journal__when_many_decide_at_once__then_one_list_is_released_for_and_no_other(tmp_path: Path) -> None:
    wanted = [Lists((0, 1), (2,)), Lists((0, 1, 2), ()), Lists((1, 2), (0,))]

    def decided(number: int) -> Lists | None:
        try:
            releases(tmp_path).decide(SCOPE, 1, b"groups", wanted[number % 3])
        except AlreadyDecided:
            return None
        return wanted[number % 3]

    releases(tmp_path)
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(decided, range(48)))
    assert len({one for one in found if one is not None}) == 1
    assert found.count(None) == 32


def test_release_journal__when_an_update_was_masked__then_no_other_gets_the_same_masks(tmp_path: Path) -> None:
    assert releases(tmp_path).masked(make.ALICE, b"groups") is None
    for _ in range(2):
        releases(tmp_path).mask(make.ALICE, b"groups", MADE.root)
    with pytest.raises(MasksUsed, match="how they differ"):
        releases(tmp_path, "another first block").mask(make.ALICE, b"groups", make.word("other"))
    assert releases(tmp_path).masked(make.ALICE, b"groups") == MADE.root
    releases(tmp_path).mask(make.ALICE, b"other groups", make.word("other"))
    releases(tmp_path).mask(make.BOB, b"groups", make.word("other"))


def test_release_journal__when_the_file_is_damaged__then_said(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "releases.sqlite").write_bytes(b"no database, but long enough to be looked at" * 50)
    with pytest.raises(BrokenReleases, match="Put back a copy"):
        releases(tmp_path)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"masking": None}, "section masking goes with privacy.mode"),
        ({"privacy": {"mode": "open"}}, "section masking goes with privacy.mode"),
        ({"masking": {"group": 6, "threshold": 3}}, "more than half of group, and less than group"),
        ({"masking": {"group": 5, "threshold": 5}}, "more than half of group, and less than group"),
        ({"masking": {"group": 16, "threshold": 9}}, "less than or equal to 15"),
        ({"privacy": NOISY | {"honest": 4}}, "honest counts on the noise of 4 .* masking.threshold, 3"),
        ({"screening": {"least_norm": 0.1}}, "nobody sees a single update"),
        (
            {
                "merge": {
                    "rule": "centered_clip",
                    "attackers": 1,
                    "learning_rate": 1.0,
                    "bucket": 2,
                    "iterations": 1,
                    "radius": 1.0,
                }
            },
            "masked updates can be merged by mean, trimmed_mean, median only",
        ),
    ],
)
def test_manifest__when_a_section_does_not_go_with_masking__then_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadManifest, match=problem):
        samples.manifest(**{**SECTIONS, **changes})


def offer(**changes: Any) -> Offer:
    return replace(samples.offer(min_updates=10, max_updates=20), **changes)


def test_check_offer__when_masked__then_the_rule_counts_groups() -> None:
    check_offer(offer(), samples.manifest(**SECTIONS))
    trimmed = {"rule": "trimmed_mean", "attackers": 1, "learning_rate": 1.0, "trim": 1}
    check_offer(offer(min_updates=15), samples.manifest(**SECTIONS, merge=trimmed))
    with pytest.raises(BadOffer):
        check_offer(offer(min_updates=10), samples.manifest(**SECTIONS, merge=trimmed))  # two groups: none is left
    with pytest.raises(BadOffer, match="quorum of 3 or more"):
        check_offer(offer(min_updates=2), samples.manifest(**SECTIONS))
    with pytest.raises(BadOffer, match="contribution of a masked update"):
        check_offer(offer(reward_rule=RewardRule.CONTRIBUTION), samples.manifest(**SECTIONS))


def test_check_offer__when_a_round_may_have_small_groups__then_no_more_noise_is_counted_on() -> None:
    noisy = samples.manifest(**SECTIONS | {"privacy": NOISY, "update__bits": 10, "update__clip": 0.5})
    check_offer(offer(min_updates=10), noisy)
    with pytest.raises(BadOffer, match="noise of 3 providers, but a sum may have only 2"):
        check_offer(offer(min_updates=3), noisy)  # three members make one group, of which two must live


def test_terms_for__when_masked__then_the_chain_says_so_and_people_read_it() -> None:
    manifest = samples.manifest(**SECTIONS)
    assert terms_for(offer(), manifest, Digest(make.word("manifest"))).privacy.name == "MASKED"
    assert "only a group's sum can be seen" in describe(manifest)["privacy"]


def test_pack__when_masked__then_the_rule_counts_groups_and_nothing_is_screened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masked_model.py").write_text("from torch import nn\n\ndef build():\n    return nn.Linear(4, 3)\n")
    write_data(tmp_path / "holdout.csv", seed=1)
    pack = ["bounty", "pack", "masked_model:build", "package", "--holdout", "holdout.csv", "--masked", "4"]
    said = CliRunner().invoke(app, [*pack, "--min-updates", "12"])
    assert said.exit_code == 0, said.output
    assert "1 faulty group, while at least 3 groups are accepted" in " ".join(said.output.split())
    manifest = parse_manifest((tmp_path / "package" / "manifest.toml").read_bytes())
    assert manifest.masking == MaskingSection(group=4, threshold=3)
    assert (manifest.screening, manifest.merge.rule, manifest.merge.attackers) == (None, "trimmed_mean", 1)
    too_few = CliRunner().invoke(app, [*pack, "--min-updates", "8", "--replace"])
    assert "8 updates in groups of 4 makes 2: raise --min-updates" in str(too_few.exception)
