"""The endpoint that Prometheus scrapes."""

from __future__ import annotations

import socket

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from ledger.records import Phase, Timestamp
from node.notices import BountySeen
from node.telemetry.metrics import Metrics
from node.telemetry.server import MetricsPortTaken, serve_metrics
from tests.builders import BOUNTY, clock

pytestmark = pytest.mark.integration


def get(url: str, host: str | None = None) -> tuple[int, str]:
    """Status and body, asked under a name of one's own."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(url, headers={"Host": host} if host else {}, timeout=5)
        return answer.status_code, answer.text


def test_serve_metrics__when_scraped__then_prometheus_can_read_it() -> None:
    metrics = Metrics("provider")
    metrics(BountySeen(BOUNTY, Timestamp(1004), clock(Phase.REVEAL, 2), rounds=8))
    with serve_metrics(metrics.registry, 0) as url:
        assert url.startswith("http://127.0.0.1:")
        status, body = get(url)
    families = {family.name: family for family in text_string_to_metric_families(body)}
    assert status == 200
    assert families["fedbounty_round"].samples[0].value == 2
    assert families["fedbounty_phase"].type == "gauge"
    assert families["fedbounty_fetch_seconds"].type == "histogram"
    assert all(name.startswith("fedbounty_") for name in families)
    with pytest.raises(requests.ConnectionError):
        get(url)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "localhost.evil:9"])
def test_serve_metrics__when_asked_under_another_name__then_refuses(host: str) -> None:
    with serve_metrics(Metrics("provider").registry, 0) as url:
        status, body = get(url, host)
        assert (status, "fedbounty" in body) == (403, False)
        port = url.rpartition(":")[2].partition("/")[0]
        assert get(url, f"localhost:{port}")[0] == 200


def test_serve_metrics__when_the_port_is_taken__then_says_which() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        said = f"127.0.0.1:{port}.*--metrics-port"
        with pytest.raises(MetricsPortTaken, match=said), serve_metrics(Metrics("provider").registry, port):
            pass
