"""Commands about versions: shelve, release, keygen."""

from __future__ import annotations

import datetime as dt
import importlib
import ssl
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli.serving import bundle_folder
from steelyard.cli.words import AnyBundle, Json, app, print_json
from steelyard.errors import RequestInvalid


class What(StrEnum):
    """What `steelyard release` does."""

    LIST = "list"
    LOG = "log"
    PROMOTE = "promote"
    CANARY = "canary"
    SHADOW = "shadow"
    RETIRE = "retire"
    ROLLBACK = "rollback"


@app.command(short_help="Add a bundle to a shelf of versions.")
def shelve(
    bundle: AnyBundle,
    shelf: Annotated[Path, typer.Argument(help="Folder of the versions.", show_default=False)],
    version: Annotated[str, typer.Option(help="Its name there; unset: the next number.", show_default=False)] = "",
    sign: Annotated[Path | None, typer.Option(help="Private key that vouches for it.", show_default=False)] = None,
) -> None:
    """Add a bundle, or the one that a run ships, to a shelf: complete or not at all, and never over another one."""
    releases = importlib.import_module("steelyard.serve.releases")
    signer = importlib.import_module("steelyard.bundle.signing").Signer(sign) if sign else None
    name = releases.shelve(bundle_folder(bundle), shelf, version=version, signer=signer)
    signed = f", signed by {signer.fingerprint}" if signer else ""
    sys.stdout.write(f"{shelf / name}: version {name}{signed}\n")


@app.command(short_help="Make a key to sign bundles with.")
def keygen(
    key: Annotated[Path, typer.Argument(help="File of the private key.", show_default=False)],
) -> None:
    """Write a new Ed25519 key, and beside it the public one for `serve --trust`."""
    public = importlib.import_module("steelyard.bundle.signing").keygen(key)
    sys.stdout.write(f"{key}: keep it secret\n{public}: for steelyard serve --trust\n")


@app.command(short_help="See and switch the versions of a server.")
def release(  # noqa: PLR0917 - options by name, all of them
    url: Annotated[str, typer.Argument(help="Address of the server.", show_default=False)],
    what: Annotated[What, typer.Argument(help="What to do.")] = What.LIST,
    version: Annotated[str, typer.Argument(help="Of which version.", show_default=False)] = "",
    share: Annotated[float | None, typer.Option(help="Of the requests, for a canary: 0.1.", show_default=False)] = None,
    why: Annotated[str, typer.Option(help="Line for the log.", show_default=False)] = "",
    key: Annotated[str, typer.Option(help="Key with scope admin.", envvar="STEELYARD_KEY", show_default=False)] = "",
    ca: Annotated[Path | None, typer.Option(help="Certificates to trust (https).", show_default=False)] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait; a large version takes long to open.")] = 120.0,
    as_json: Json = False,
) -> None:
    """See which version has which role, or switch them; the server must run with --repository."""
    client = importlib.import_module("steelyard.client")
    verify = _trusting(ca) if ca else True
    with client.Client(url, key=key, timeout=timeout, verify=verify) as line:
        releases = importlib.import_module("steelyard.client.releases").Releases(line)
        if what in {What.LIST, What.LOG}:
            if version or why or share is not None:
                raise RequestInvalid(f"{what} takes neither a version nor options of a switch")
            data = releases.list() if what is What.LIST else releases.log()
        else:
            data = releases.switch(what, version, why=why, share=share)
    if as_json:
        print_json(data)
    else:
        sys.stdout.write("".join(f"{text}\n" for text in _told(what, data)))


def _trusting(ca: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as problem:
        raise RequestInvalid(f"{ca} holds no certificates that can be read: {problem}") from None


def _told(what: What, data: Mapping[str, Any]) -> list[str]:
    if what is What.LIST:
        return [_version(each, data["share"]) for each in data["versions"]]
    if what is What.LOG:
        return [_line(each) for each in data["switches"]]
    return [_line(data["applied"]), _roles(data)]


def _version(each: Mapping[str, Any], share: float) -> str:
    roles = [f"canary {share:.0%}" if role == "canary" else role for role in each["roles"]]
    text = f"{each['version']:<16} {', '.join(roles) or '-':<20} {each['digest'] or '-':<16}"
    if "requests" in each:
        text += f" {each['requests']:,} requests, {each['failures']:,} failed"
    for role, found in each.get("compared", {}).items():
        text += f"; as {role} {found['disagreed']:,} of {found['rows']:,} rows disagreed"
    return f"{text}; {each['problem']}" if "problem" in each else text.rstrip()


def _line(each: Mapping[str, Any]) -> str:
    when = dt.datetime.fromtimestamp(each["time"], dt.UTC).isoformat(" ", "seconds")
    return f"{each['number']:>4} {when} {each['who']:<12} {each['action']} {each['version']} {each['why']}".rstrip()


def _roles(data: Mapping[str, Any]) -> str:
    named = [f"{role} {data[role]}" for role in ("stable", "previous", "canary", "shadow") if data[role]]
    return "now: " + ", ".join(f"{n} at {data['share']:.0%}" if n.startswith("canary") else n for n in named)
