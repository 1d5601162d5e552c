"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending or joining.")]
BountyArgument = Annotated[int, typer.Argument(min=1, help="The bounty's number; see `fedbounty bounty list`.")]
