"""The signed report and its page, from values: what is signed, what a page shows, and what it never does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ledger.accounts import Secret, key_from_secret, text_signer
from ledger.chain import Block
from ledger.history import BountyHistory, build_history
from ledger.keccak import keccak
from ledger.records import Claimed, Timestamp, Wei
from node.auditor.page import curve_of, render_report, tokens
from node.auditor.record import canonical, chain_record, differences_between, plain
from node.auditor.statement import FORMAT, BadReport, read_report, text_of
from tests import builders as make

pytestmark = pytest.mark.unit

KEY = key_from_secret(Secret("0x" + "11" * 32))
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202e"
BLOCK = Block(40, make.word("block"), Timestamp(1_790_000_000))


def story() -> BountyHistory:
    events = [
        *make.shown(),
        make.merged(1, 9),
        make.opened(2, 9),
        Claimed(make.at(30), make.BOUNTY, make.ALICE, Wei(300)),
    ]
    return build_history(events)


def round_found(number: int, **changes: Any) -> dict[str, Any]:
    plain_round = {
        "round": number,
        "verdict": "ok",
        "state": "merged",
        "revealed": 1,
        "accepted": 1,
        "rejected": 0,
        "paid": 300,
        "bytes": 9,
        "metrics": {"accuracy": 0.5 + number / 10, "loss": 1.0},
        "basis": "recomputed",
        "differences": [],
        "missing": [],
        "notes": [],
    }
    return plain_round | changes


def signed(**changes: Any) -> dict[str, Any]:
    findings = {
        "verdict": "ok",
        "metrics_start": {"accuracy": 0.1, "loss": 2.3},
        "rounds": [round_found(1), round_found(2)],
        "books": {"figures": {}, "changed": 9, "checked": 9, "first_checked": 1, "held": 5, "balance": 6},
        "differences": [],
        "unchecked": [{"what": "this", "trust": "them"}],
        "model": {"name": "digits", "description": "ten digits"},
    }
    record = chain_record(story(), BLOCK, 31337, make.OWNER)
    body = {"format": FORMAT, "record": record, "findings": findings | changes}
    signature = {"scheme": "EIP-191", "signer": KEY.address, "text": text_of(body)}
    return {"report": body, "signature": signature | {"signature": KEY.sign_text(signature["text"])}}


class Page(HTMLParser):
    """Elements with their attributes, and the text outside `style`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_canonical__then_one_way_only() -> None:
    assert canonical({"b": [1, "é"], "a": None}) == b'{"a":null,"b":[1,"\\u00e9"]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(float("nan"))


def test_plain__then_nothing_is_rounded_or_lost() -> None:
    values = {"big": 2**53, "small": -5, "bytes": b"\x01", "nan": float("nan"), "flag": True}
    assert plain(values) == {"big": str(2**53), "small": -5, "bytes": "0x01", "nan": "nan", "flag": True}


def test_chain_record__then_lineage_and_payments_are_those_of_the_events() -> None:
    record = chain_record(story(), BLOCK, 31337, make.OWNER)
    start, first = record["lineage"]
    assert (start["round"], first["round"], first["previous"]) == (0, 1, 0)
    assert first["state_root"] == "0x" + make.word("state 1").hex()
    assert [one["provider"] for one in first["updates"]] == [make.ALICE]
    assert record["payments"]["providers"] == [{"provider": make.ALICE, "earned": 300, "taken": 300}]
    assert record["payments"]["payouts"][0]["kind"] == "claim"
    assert record["privacy"] == {"mode": "open", "released": [{"provider": make.ALICE, "rounds": 1}]}
    assert json.loads(canonical(record)) == record


def test_chain_record__when_any_event_differs__then_its_hash_does() -> None:
    changed = story()
    changed.events[1] = replace(make.joined(make.ALICE, 0), multiaddr="elsewhere")
    one, other = (chain_record(each, BLOCK, 31337, make.OWNER)["events"] for each in (story(), changed))
    assert one["count"] == other["count"]
    assert one["keccak256"] != other["keccak256"]


def test_differences_between__then_every_place_is_named() -> None:
    claimed = {"a": [1, 2], "b": {"c": "x"}, "d": 1}
    found = {"a": [1, 3], "b": {"c": "y"}, "e": 1}
    assert [line.split(" is ")[0] for line in differences_between(claimed, found)] == [
        "record.a[1]",
        "record.b.c",
        "record.d",
        "record.e",
    ]
    assert differences_between(1, True) != [], "a flag is no number"
    assert differences_between(claimed, claimed) == []


def test_text_of__then_it_names_the_report_by_its_hash_and_is_what_was_signed() -> None:
    report = signed()
    text = report["signature"]["text"]
    assert text.splitlines()[1] == f"bounty 7 of market {make.OWNER} on chain 31337"
    assert text.endswith("0x" + keccak(canonical(report["report"])).hex())
    assert text_signer(text, report["signature"]["signature"]) == KEY.address
    assert text_signer(text + " ", report["signature"]["signature"]) != KEY.address
    assert text_signer(text, "0x00") is None


def test_read_report__when_it_is_not_written_in_the_one_way__then_refuses(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(canonical(signed()) + b"\n")
    assert read_report(path) == signed()
    for data in (json.dumps(signed()).encode(), canonical(signed()), canonical(signed() | {"more": 1}) + b"\n"):
        path.write_bytes(data)
        with pytest.raises(BadReport):
            read_report(path)


def test_render_report__then_it_loads_nothing_and_its_policy_allows_its_style_alone() -> None:
    html = render_report(signed(), "report.json")
    page = Page(html)
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not [
        name for _, given in page.elements for name in given if name in ("src", "style") or name.startswith("on")
    ]
    assert all((given.get("href") or "#").startswith("#") for _, given in page.elements)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = next(given["content"] for tag, given in page.elements if given.get("http-equiv"))
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_render_report__when_texts_are_hostile__then_they_are_only_texts() -> None:
    wrong = {"round": 1, "what": HOSTILE, "claimed": HOSTILE, "expected": "1", "update": 0, "coordinate": 3}
    report = signed(
        verdict="wrong",
        model={"name": HOSTILE, "description": HOSTILE},
        rounds=[round_found(1, differences=[wrong | {"tensor": HOSTILE}], missing=[HOSTILE], notes=[HOSTILE])],
        unchecked=[{"what": HOSTILE, "trust": HOSTILE}],
    )
    report["report"]["record"]["members"][0]["provider"] = HOSTILE
    html = render_report(report, "report.json")
    page = Page(html)
    assert "\u202e" not in html
    assert not {tag for tag, _ in page.elements} & {"script", "img"}
    assert page.text.count("<script>alert(1)</script>") >= 6
    assert "Round 1, update 0, coordinate 3" in page.text


def test_render_report__when_nothing_was_measured_or_merged__then_the_page_says_so() -> None:
    page = Page(render_report(signed(metrics_start={}, rounds=[]), "report.json"))
    assert "No round has opened yet." in page.text
    assert "circle" not in {tag for tag, _ in page.elements}


def test_render_report__then_tables_and_figures_can_be_read_aloud() -> None:
    page = Page(render_report(signed(), "report.json"))
    assert all("scope" in given for tag, given in page.elements if tag == "th")
    pictures = [given for tag, given in page.elements if tag == "svg"]
    assert all(given.get("aria-label") or given.get("aria-hidden") == "true" for given in pictures)
    assert ("html", {"lang": "en"}) in page.elements


def test_curve_of__when_values_are_not_finite__then_they_are_left_out() -> None:
    found = curve_of(
        {"metrics_start": {"accuracy": 0.1}, "rounds": [round_found(1), round_found(2, metrics={"accuracy": "nan"})]}
    )
    assert found is not None
    assert [point.text for point in found.points] == ["0.1000", "0.6000"]
    assert found.points[0].y > found.points[1].y, "up is better"


def test_tokens__then_exact() -> None:
    assert [tokens(one) for one in (0, 1, 10**18, "1500000000000000000000")] == [
        "0",
        "0.000000000000000001",
        "1",
        "1,500",
    ]
