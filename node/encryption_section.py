"""The manifest's section `[encryption]`: who can read updates (docs/PROTOCOL.md, section 17)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from ledger.errors import BadInput
from node.manifest_sections import Section, as_tuple
from node.sealing import MOST_RECIPIENTS, public_key

RecipientKey = Annotated[str, Field(pattern=r"^0x[0-9a-f]{64}$")]


class EncryptionSection(Section):
    """X25519 public keys: the aggregator's, and those of the auditors that the owner names."""

    aggregator: RecipientKey
    auditors: Annotated[tuple[RecipientKey, ...], Field(max_length=MOST_RECIPIENTS - 1), BeforeValidator(as_tuple)] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len({self.aggregator, *self.auditors}) != 1 + len(self.auditors):
            raise ValueError("a key is listed twice")
        for key in self.recipients:
            try:
                public_key(key)
            except BadInput as error:
                raise ValueError(str(error)) from None
        return self

    @property
    def recipients(self) -> tuple[bytes, ...]:
        return tuple(bytes.fromhex(key[2:]) for key in (self.aggregator, *self.auditors))

    @property
    def description(self) -> str:
        """What a person should know before joining."""
        named = f" and {len(self.auditors)} named auditors" if self.auditors else ", no auditor is named"
        return f"only the aggregator{named} can read updates; whoever can may disclose them"
