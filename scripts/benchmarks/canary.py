"""A hundred lies and a hundred honest rounds on a real chain with real IPFS: which of them a challenger catches."""

from __future__ import annotations

import statistics
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from ledger.chain import connect
from ledger.devnet import DevnetSettings, start_devnet
from ledger.kubo import start_ipfs
from ledger.transactions import Transactor
from scripts.benchmarks.measure import Figures, console

GAMES = 100
QUICK_GAMES = 10


def run(quick: bool) -> Figures:
    """Lies told and caught, kind by kind, and honest rounds accused (target: all of the first, none of the second)."""
    from tests import canary, canary_game
    from tests.integration.world import Stage, make_world

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    games = QUICK_GAMES if quick else GAMES
    plan = [canary.LIES[number % len(canary.LIES)] for number in range(games)] + [canary.Kind.HONEST] * games
    with TemporaryDirectory(prefix="fedbounty-canary-") as name:
        folder = Path(name)
        packages = canary_game.build_packages(folder / "packages")
        settings = DevnetSettings(block_seconds=1, eager=True)
        with start_devnet(folder / "devnet", settings) as devnet, start_ipfs(folder / "ipfs") as ipfs:
            chain = connect(devnet.rpc_url, devnet.chain_id)
            deployer = Transactor(chain, devnet.keys[0], folder / "deployer")
            world = make_world(Stage(chain, deployer, ipfs, packages["mean"]), folder / "world")
            cast = canary_game.gather_cast(world, packages)
            played = defaultdict(list)
            for seed, kind in enumerate(plan):
                rule = ("mean", "centered_clip")[seed % 2] if kind == canary.Kind.HONEST else ""
                played[kind].append(canary_game.play(cast, kind, seed, rule))
                console.print(f"[dim]{seed + 1}/{len(plan)} {kind}[/dim]", end="\r")
            world.close()
            deployer.close()
            chain.close()
    return {str(kind): _figures(found) for kind, found in played.items()}


def _figures(games: list[Any]) -> dict[str, Any]:
    caught = [game for game in games if game.voided is not None]
    return {
        "played": len(games),
        "caught": len(caught),
        "merged again": sum(game.merged_again for game in games),
        "seconds to verdict (median)": round(statistics.median(game.seconds for game in games), 2),
        "gas of the proof (greatest)": max((game.gas for game in caught), default=0),
    }
