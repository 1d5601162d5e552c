"""The loop: what is retried, what is not, and that it stops."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from ledger.errors import BadInput, ContentUnreachable, FedbountyError, Reverted
from ledger.notices import Notice
from node.loop import Finish, run
from node.notices import Acted, Looked, Stumbled

pytestmark = pytest.mark.unit


@dataclass
class Script:
    """A daemon that plays a list: an error is raised by `act`, anything else succeeds; at its end it finishes."""

    plays: list[FedbountyError | str]
    acted: list[str] = field(default_factory=list)

    def observe(self) -> int:
        return len(self.plays)

    def decide(self, view: int) -> Sequence[str | Finish]:
        return ["play"] if view else [Finish("over")]

    def act(self, action: str) -> None:
        play = self.plays.pop(0)
        if isinstance(play, FedbountyError):
            raise play
        self.acted.append(play)


def refused() -> Reverted:
    return Reverted("commit", "WindowClosed", {"closesAt": 5})


def test_run__when_nothing_is_left__then_it_says_why_it_ended() -> None:
    assert run(Script(["a", "b"]), 0.0, threading.Event()) == "over"


def test_run__when_an_endpoint_is_down__then_it_tries_again() -> None:
    script = Script([ContentUnreachable("http://x", "refused")] * 3 + ["a"])
    assert run(script, 0.0, threading.Event()) == "over"
    assert script.acted == ["a"]


def test_run__when_the_contract_refuses_once__then_it_looks_again() -> None:
    script = Script([refused(), "a"])
    run(script, 0.0, threading.Event())
    assert script.acted == ["a"]


def test_run__when_the_contract_refuses_again_and_again__then_it_gives_up() -> None:
    with pytest.raises(Reverted):
        run(Script([refused() for _ in range(9)]), 0.0, threading.Event())


def test_run__when_trying_again_can_not_help__then_it_raises_at_once() -> None:
    script = Script([BadInput("no"), "a"])
    with pytest.raises(BadInput):
        run(script, 0.0, threading.Event())
    assert script.acted == []


def test_run__when_it_is_told_to_stop__then_it_does_no_more() -> None:
    stop = threading.Event()
    stop.set()
    script = Script(["a"])
    assert run(script, 0.0, stop) == "stopped"
    assert script.acted == []


def test_run__when_it_turns_and_stumbles__then_it_tells_each_in_order() -> None:
    heard: list[Notice] = []
    plays: list[FedbountyError | str] = ["a", refused(), ContentUnreachable("http://x", "refused"), "b"]
    run(Script(plays), 0.0, threading.Event(), heard.append)
    story = [one.error if isinstance(one, Stumbled) else type(one).__name__ for one in heard]
    turns = [("Looked", "Acted"), ("Looked", "Reverted"), ("Looked", "ContentUnreachable"), ("Looked", "Acted")]
    assert story == [*(word for turn in turns for word in turn), "Looked"]
    assert [one.action for one in heard if isinstance(one, Acted)] == ["str", "str"]
    assert all(one.seconds >= 0 for one in heard if isinstance(one, Looked | Acted))
