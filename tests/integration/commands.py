"""The command `fedbounty`, run inside the test's process: its exit code and what it said."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from node.cli.app import main
from tests.integration.world import Party


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def fedbounty(capsys: pytest.CaptureFixture[str], party: Party | None, *arguments: str) -> Done:
    """Run a command as `party`, whose settings hold unless `arguments` say otherwise."""
    config = ["--config", str(party.config)] if party else []
    capsys.readouterr()
    before, sys.argv = sys.argv, ["fedbounty", *config, *arguments]
    try:
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    finally:
        sys.argv = before
        structlog.reset_defaults()
    said = capsys.readouterr()
    return Done(code, said.out, said.err)
