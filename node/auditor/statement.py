"""A signed report: the chain's record, the auditor's findings, and the auditor's name under both.

The record can be verified by anyone with the chain alone. The findings are the auditor's word: whoever doubts them
audits again, from IPFS or from an exported CAR file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ledger.accounts import Key, text_signer
from ledger.errors import BadInput
from ledger.history import build_history
from ledger.keccak import keccak
from ledger.market import Market
from ledger.records import Address, BountyId
from node.auditor.audit import Audited
from node.auditor.record import canonical, chain_record, differences_between, plain

FORMAT = "fedbounty report 1"
MAX_BYTES = 256 << 20
"""Room for some 200,000 updates."""


class BadReport(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(f"The report {path} can't be read: {detail}. `fedbounty report` writes one.")


@dataclass(frozen=True)
class Verified:
    """What the verification of a report says; `problems` is empty if all is as the chain has it.

    signer: whose signature it bears; None if it bears none.
    """

    signer: Address | None
    bounty: int
    block: int
    verdict: str
    problems: tuple[str, ...]


def sign_report(audited: Audited, market: Market, key: Key) -> dict[str, Any]:
    """The report of an audit, signed. The same audit and key give the same bytes."""
    report = audited.report
    findings = plain(report)
    for given_once in ("bounty", "block", "block_hash", "money"):
        del findings[given_once]
    findings["model"] = {"name": audited.manifest.name, "description": audited.manifest.description}
    body = {
        "format": FORMAT,
        "record": chain_record(audited.history, audited.block, market.chain.chain_id, market.address),
        "findings": findings,
    }
    signature = {"scheme": "EIP-191", "signer": key.address, "text": text_of(body)}
    return {"report": body, "signature": signature | {"signature": key.sign_text(signature["text"])}}


def text_of(body: dict[str, Any]) -> str:
    """What is signed: a text for people that names the report by its hash."""
    chain, bounty = body["record"]["chain"], body["record"]["bounty"]
    return (
        f"{FORMAT}\n"
        f"bounty {bounty['number']} of market {chain['market']} on chain {chain['chain_id']}\n"
        f"up to block {chain['block']} {chain['block_hash']}\n"
        f"verdict: {body['findings']['verdict']}\n"
        f"keccak256 of the report: 0x{keccak(canonical(body)).hex()}"
    )


def read_report(path: Path) -> dict[str, Any]:
    """Read a report file that anyone may have written.

    Raises: BadReport unless it is a report in its canonical form.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadReport(path, f"it is larger than {MAX_BYTES} bytes")
        data = path.read_bytes()
        signed = orjson.loads(data)  # refuses what is nested too deep
        text_of(signed["report"])
        known = signed["report"]["format"] == FORMAT and set(signed) == {"report", "signature"}
        whole = data == canonical(signed) + b"\n"
    except OSError as error:
        raise BadReport(path, error.strerror or "it can't be opened") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadReport(path, "it is no fedbounty report") from error
    if not known or not whole or not isinstance(signed["signature"], dict):
        raise BadReport(path, "it is no fedbounty report in the form that was signed")
    return dict(signed)


def verify_report(signed: dict[str, Any], market: Market, by: Address | None = None) -> Verified:
    """Check the signature and everything that the report says about the chain, with the chain alone.

    by:     whose report it must be; None for anyone's.
    Raises: ChainUnreachable.
    """
    body, signature = signed["report"], signed["signature"]
    text, signer = text_of(body), text_signer(text_of(body), str(signature.get("signature")))
    problems = []
    if signature.get("text") != text:
        problems.append("the signed text is not that of this report")
    if signer is None or signer != signature.get("signer"):
        problems.append(f"the signature is not that of {signature.get('signer')}")
    if by is not None and signer != by:
        problems.append(f"it was signed by {signer}, not by {by}")
    problems += _chain_problems(body["record"], market)
    record = body["record"]
    return Verified(
        signer, record["bounty"]["number"], record["chain"]["block"], str(body["findings"]["verdict"]), tuple(problems)
    )


def _chain_problems(record: dict[str, Any], market: Market) -> list[str]:
    """Where the record is not what the chain says at the record's own block."""
    number, bounty = record["chain"]["block"], record["bounty"]["number"]
    if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in (number, bounty)):
        return ["its block or its bounty is no number"]
    if number > market.chain.block().number:
        return [f"the chain has no block {number} yet"]
    block = market.chain.block(number)
    events = market.events(BountyId(bounty), last=block.number)
    if not events:
        return [f"the market {market.address} has no bounty {bounty} at block {number}"]
    found = chain_record(build_history(events), block, market.chain.chain_id, market.address)
    return differences_between(record, json.loads(canonical(found)))
