"""The demo: one whole bounty on real components, each role a process of its own.

Devnet and IPFS nodes are embedded ones; everything else runs through the command `fedbounty`, as its users would.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from ledger.accounts import create_key
from ledger.chain import Chain, connect
from ledger.devnet import Deployed, DevnetSettings, deploy_contracts, fund_ether, mint_tokens, start_devnet
from ledger.errors import FedbountyError
from ledger.kubo.process import IpfsDaemon, start_ipfs
from ledger.market import Market
from ledger.records import BountyId, Phase
from ledger.transactions import Transactor
from node.posting import QUORUM
from scripts.demo_model import build_package, split_data
from scripts.demo_report import closing_table, draw, live_table, outcome

PASSWORD = "only for the demo"  # noqa: S105 - protects throw-away keys
TOKEN = 10**18
console = Console(stderr=True)
started = time.monotonic()


def say(text: str) -> None:
    """Tell how far the demo is, with the seconds since its start."""
    console.print(f"[dim]{time.monotonic() - started:5.1f} s[/dim]  {text}", soft_wrap=True)


@dataclass(frozen=True)
class Options:
    providers: int
    rounds: int
    seed: int
    out: Path


@dataclass(frozen=True)
class Stage:
    """What every role shares."""

    folder: Path
    chain: Chain
    rpc_url: str
    deployed: Deployed
    hub: IpfsDaemon


@dataclass(frozen=True)
class Role:
    """A participant: a name, a home of its own, an IPFS node of its own."""

    name: str
    home: Path
    address: str

    def command(self, *arguments: str) -> list[str]:
        fedbounty = Path(sys.executable).with_name("fedbounty")
        return [str(fedbounty), "--config", str(self.home / "fedbounty.toml"), *arguments]


def main() -> int:
    options = parse_options()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started it in the background
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with TemporaryDirectory(prefix="fedbounty-demo-") as folder, contextlib.ExitStack() as stack:
            result = run(options, Path(folder), stack)
    except KeyboardInterrupt:
        console.print("[yellow]Stopped; everything that was started has ended.[/yellow]")
        return 130
    except (FedbountyError, subprocess.CalledProcessError, DemoFailed) as error:
        console.print(f"[bold red]The demo failed:[/bold red] {error}")
        return 1
    print(json.dumps(result | {"seconds": round(time.monotonic() - started, 1)}))
    return 0 if result["audit"] == "ok" else 1


class DemoFailed(Exception):
    pass


def parse_options() -> Options:
    parser = argparse.ArgumentParser(description="Run a whole bounty on real components and audit it.")
    parser.add_argument("--providers", type=int, default=5, help=f"at least {QUORUM}")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1, help="of the data's split")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="where logs and pictures go")
    options = Options(**vars(parser.parse_args()))
    if options.providers < QUORUM:
        parser.error(f"{options.providers} providers are too few: withstanding a faulty one takes {QUORUM}")
    return options


def run(options: Options, folder: Path, stack: contextlib.ExitStack) -> dict[str, Any]:
    options.out.mkdir(parents=True, exist_ok=True)
    stage = open_stage(folder, stack)
    say(f"devnet at {stage.rpc_url}, market {stage.deployed.market}")
    owner = add_role(stage, "owner", stage.hub)
    say("packaging the model and splitting the data")
    build_package(folder / "package")
    split = split_data(folder / "data", options.providers, alpha=0.5, seed=options.seed)
    split.holdout.rename(folder / "package" / "holdout.npz")
    aggregator = add_role(stage, "aggregator", stage.hub)
    say(f"starting {options.providers + 1} more IPFS nodes")
    nodes = [stack.enter_context(start_ipfs(folder / f"ipfs-{i}")) for i in range(options.providers + 1)]
    providers = [add_role(stage, f"provider-{i}", nodes[i]) for i in range(options.providers)]
    auditor = add_role(stage, "auditor", nodes[-1])
    say("posting the bounty")
    bounty = post_bounty(owner, folder / "package", aggregator, options)
    say(f"bounty {bounty} is posted; starting {options.providers} providers and the aggregator")
    processes = [stack.enter_context(spawned(aggregator, options.out, "aggregate", str(bounty), "--yes"))]
    for role, data in zip(providers, split.providers, strict=True):
        command = ("provide", str(bounty), "--data", str(data), "--yes")
        processes.append(stack.enter_context(spawned(role, options.out, *command)))
    market = Market(stage.chain, stage.deployed.market)
    watch(market, bounty, processes, stack, options)
    say("auditing from the chain and a fresh IPFS node")
    began = time.monotonic()
    report = audit(auditor, bounty)
    (options.out / "timings.json").write_text(json.dumps({"audit": round(time.monotonic() - began, 2)}) + "\n")
    say(f"the audit says: {report['verdict']}")
    result = outcome(market, bounty, report)
    console.print(closing_table(result, [role.address for role in providers]))
    draw(result, [role.address for role in providers], options.out)
    say(f"pictures and logs are in {options.out.resolve()}")
    return result.summary()


def open_stage(folder: Path, stack: contextlib.ExitStack) -> Stage:
    """Start the chain and the hub's IPFS node; deploy the contracts."""
    devnet = stack.enter_context(start_devnet(folder / "devnet", DevnetSettings(block_seconds=1, eager=True)))
    chain = connect(devnet.rpc_url, devnet.chain_id)
    with contextlib.closing(Transactor(chain, devnet.keys[0], folder / "deployer")) as deployer:
        deployed = deploy_contracts(deployer)
    hub = stack.enter_context(start_ipfs(folder / "ipfs-hub"))
    return Stage(folder, chain, devnet.rpc_url, deployed, hub)


def add_role(stage: Stage, name: str, ipfs: IpfsDaemon) -> Role:
    """Give a role its home, its key, its settings and money."""
    home = stage.folder / name
    key = create_key(home / "keystore", name, PASSWORD, light=True)
    (home / "password").write_text(PASSWORD + "\n")
    (home / "fedbounty.toml").write_text(
        f'home = "{home}"\n'
        f'[chain]\nrpc_url = "{stage.rpc_url}"\nmarket = "{stage.deployed.market}"\ntoken = "{stage.deployed.token}"\n'
        f"poll_seconds = 0.3\n"
        f'[ipfs]\napi = "{ipfs.api}"\npeers = ["{stage.hub.peer}"]\nfetch_seconds = 20\n'
        f'[keys]\ndirectory = "{home / "keystore"}"\naccount = "{name}"\npassword_file = "{home / "password"}"\n'
    )
    fund_ether(stage.chain, key.address, 10**20)
    with contextlib.closing(Transactor(stage.chain, key, home / "transactions")) as transactor:
        mint_tokens(transactor, stage.deployed.token, key.address, 1000 * TOKEN)
    return Role(name, home, key.address)


def post_bounty(owner: Role, package: Path, aggregator: Role, options: Options) -> BountyId:
    rules = ["--pot", str(100 * options.rounds), "--rounds", str(options.rounds), "--stake", "10", "--bond", "50"]
    rules += ["--min-updates", str(max(QUORUM, options.providers - 2)), "--max-updates", str(options.providers)]
    times = ["--commit-time", "60s", "--reveal-time", "30s", "--merge-time", "60s", "--open-merge-time", "60s"]
    times += ["--challenge-time", "5s", "--aggregator", aggregator.address, "--json"]
    done = subprocess.run(
        owner.command("bounty", "post", str(package), *rules, *times), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DemoFailed(f"posting the bounty: {done.stderr.strip()}")
    return BountyId(json.loads(done.stdout)["bounty"])


@contextlib.contextmanager
def spawned(role: Role, out: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A role's daemon with its log in `out`; ended with the context."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with (out / f"{role.name}.log").open("wb") as log:
        process = subprocess.Popen(role.command(*arguments), stdout=log, stderr=log, env=environment)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def watch(
    market: Market,
    bounty: BountyId,
    processes: list[subprocess.Popen[bytes]],
    stack: contextlib.ExitStack,
    options: Options,
) -> None:
    """Show the bounty while it runs, until every daemon finished by itself."""
    live = stack.enter_context(live_table())
    while any(process.poll() is None for process in processes):
        broken = [process for process in processes if process.poll() not in (None, 0)]
        if broken:
            raise DemoFailed(f"a daemon ended with exit code {broken[0].returncode}; see the logs in {options.out}")
        clock = market.clock(bounty)
        live.show(clock, market.events(bounty))
        if clock.phase == Phase.CANCELLED:
            raise DemoFailed("the bounty was cancelled")
        time.sleep(0.5)
    live.show(market.clock(bounty), market.events(bounty))
    live.stop()


def audit(auditor: Role, bounty: BountyId) -> dict[str, Any]:
    done = subprocess.run(auditor.command("audit", str(bounty), "--json"), capture_output=True, text=True, check=False)
    if not done.stdout:
        raise DemoFailed(f"the audit: {done.stderr.strip()}")
    report: dict[str, Any] = json.loads(done.stdout)
    for part in (report, *report["rounds"]):
        for difference in part["differences"]:
            console.print(f"[bold red]wrong[/bold red] {difference}")
    return report


if __name__ == "__main__":
    sys.exit(main())
