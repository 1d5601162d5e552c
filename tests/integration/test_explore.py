"""`fedbounty explore` as a process: it says where it is, answers, and ends at Ctrl-C though a page is open."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.integration.world import World

pytestmark = pytest.mark.integration

END_SECONDS = 15


def test_explore__when_interrupted_with_a_page_open__then_it_ends_cleanly(world: World) -> None:
    reader = world.party("reader")
    command = [str(Path(sys.executable).with_name("fedbounty")), "--config", str(reader.config)]
    process = subprocess.Popen(
        [*command, "explore", "--port", "0", "--no-open"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
            assert address is not None
            with requests.get(address[0], timeout=END_SECONDS) as page:
                assert "No bounty is running now." in page.text
            with requests.get(f"{address[0]}events?since=0", timeout=END_SECONDS, stream=True) as stream:
                assert next(stream.iter_lines()) == b"event: change"
                process.send_signal(signal.SIGINT)
                said, complaints = process.communicate(timeout=END_SECONDS)
        finally:
            process.kill()
    assert (process.returncode, "has ended" in said, complaints) == (0, True, "")
