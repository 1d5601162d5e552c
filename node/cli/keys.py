"""`fedbounty key`: accounts in keystore v3 files."""

from __future__ import annotations

from typing import Annotated

import typer

from ledger.accounts import create_key, list_keys, load_key, read_password
from node.cli.arguments import Json
from node.cli.output import asked, console, grid, pairs, print_json
from node.sealed_updates import exchange_public_key
from node.settings import Settings, environment_password

app = typer.Typer(no_args_is_help=True, help="Create and list the keys that sign. They never leave this machine.")


@app.command("new")
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name for the key.")],
    as_json: Json = False,
) -> None:
    """Create a key, encrypted with a password that is asked for (or FEDBOUNTY_PASSWORD, or keys.password_file)."""
    settings: Settings = context.obj
    password = read_password(file=settings.keys.password_file, value=environment_password(), prompt=ask_new_password)
    address = create_key(settings.keys.directory, name, password).address
    if as_json:
        print_json({"name": name, "address": address, "directory": str(settings.keys.directory)})
    else:
        console.print(f"{name} is [bold]{address}[/bold], kept in {settings.keys.directory}. Back the file up.")


@app.command("list")
def list_command(context: typer.Context, as_json: Json = False) -> None:
    """List the keys of the keystore."""
    settings: Settings = context.obj
    found = [{"name": key.name, "address": key.address} for key in list_keys(settings.keys.directory)]
    if as_json:
        print_json(found)
    elif found:
        grid("keys", ("name", "address"), [(key["name"], key["address"]) for key in found])
    else:
        console.print(f"No keys in {settings.keys.directory}. `fedbounty key new NAME` makes one.")


@app.command("show")
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The key's name.")],
    as_json: Json = False,
) -> None:
    """Show a key's address and its public encryption key, by which an owner can name it to read sealed updates."""
    settings: Settings = context.obj
    password = read_password(
        file=settings.keys.password_file, value=environment_password(), prompt=lambda: ask_password(name)
    )
    key = load_key(name, password, settings.keys.directory)
    public = "0x" + exchange_public_key(key).hex()
    if as_json:
        print_json({"name": name, "address": key.address, "encryption_key": public})
    else:
        pairs(name, {"address": key.address, "encryption key": public})


def ask_new_password() -> str:
    """Ask twice for the password of a new key."""
    return _hidden("Password", confirmed=True)


def ask_password(name: str) -> str:
    """Ask for the password of an existing key."""
    return _hidden(f"Password of {name}", confirmed=False)


def _hidden(question: str, confirmed: bool) -> str:
    return asked(
        "Nobody is here to ask for the password: set FEDBOUNTY_PASSWORD, or FEDBOUNTY_PASSWORD_FILE.",
        lambda: str(typer.prompt(question, hide_input=True, confirmation_prompt=confirmed, err=True)),
    )
