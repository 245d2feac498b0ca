"""The folder: the page, the library, and parcels of what is large."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from typing import Any

from steelyard.bundle.manifest import GRAPH, Several
from steelyard.bundle.opening import Opened
from steelyard.contracts import Feed
from steelyard.export.browser.fit import check_fits, plain_task
from steelyard.export.browser.linking import library, script
from steelyard.export.browser.linking import source as web
from steelyard.export.browser.runtime import PACKAGE, VERSION, runtime
from steelyard.export.browser.tokenisers import read_tokeniser
from steelyard.export.bundles import Source
from steelyard.export.formats import Given, Written
from steelyard.recipe import describe, from_json

_PARCELS = "parcels"
_FILE_OF = {"counts": "vocabulary", "tokens": "tokenizer"}
"""The option of a front end that names a file."""


def folder(source: Source, given: Given) -> Written:
    """Write the folder.

    Parameters
    ----------
    source
        The bundle; it is only read.
    given
        Where to, and where ONNX Runtime Web is or whether npm may fetch it.

    Raises
    ------
    ExportRefused
        If a browser cannot do what the bundle asks for, or ONNX Runtime Web is not at hand.
    """
    assert given.out is not None, "a folder was asked for"
    opened = source.opened
    check_fits(opened)
    found = runtime(given.web, download=given.download)
    packed = _Parcels()
    about = {
        "title": describe(from_json(opened.manifest.recipe)),
        "created": opened.manifest.created,
        "task": plain_task(opened),
        "columns": _columns(opened),
        "model": packed.part(opened),
        "runtime": f"{PACKAGE} {VERSION}",
    }
    packed.add("about", json.dumps(about).encode())
    packed.add("runtime", found.script)
    packed.add("wasm", found.binary)
    texts = {
        "index.html": web("index.html"),
        "page.css": web("page.css"),
        "page.js": script("page.js"),
        "steelyard.js": library("steelyard.js", "Model", "ModelRefused", "RowsRefused"),
        "steelyard.d.ts": web("steelyard.d.ts"),
        **{f"{_PARCELS}/{name}.js": text for name, text in packed.texts.items()},
    }
    contents = {name: text.encode() for name, text in texts.items()}
    contents |= {f"licences/{name}": text for name, text in found.licences.items()}
    for name, content in contents.items():
        path = given.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    size = sum(map(len, contents.values()))
    return Written(
        str(given.out),
        said=(
            f"{size / 1e6:.1f} MB, of which ONNX Runtime Web {VERSION} takes {len(packed.texts['wasm']) / 1e6:.1f} MB",
            f"open {given.out / 'index.html'} in a browser, from the disk or a static server: nothing leaves the page",
            f"in your own page: import {{ Model }} from './{given.out.name}/steelyard.js'; see docs/browser.md",
        ),
    )


@dataclass(frozen=True, slots=True)
class _Parcels:
    """What is large, as scripts that each hand over one string."""

    texts: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, content: bytes) -> str:
        """Pack some content; return its name."""
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        self.texts[name] = f'(globalThis.steelyardParcels ??= {{}})["{name}"] = "{packed}";\n'
        return name

    def part(self, opened: Opened) -> dict[str, Any]:
        """Pack the graphs of a bundle and their files; return how they belong together."""
        model = opened.manifest.model
        if isinstance(model, Several):
            return {"rule": model.rule, "members": [self.part(opened.member(name)) for name in model.members]}
        artefact = opened.artefact()
        number = sum(name.startswith("graph") for name in self.texts)
        graph = self.add(f"graph-{number}", opened.files[GRAPH])
        files = {}
        for place, (name, content) in enumerate(_files(artefact.feeds, artefact.files)):
            files[name] = self.add(f"file-{number}-{place}", content)
        feeds = [
            {"front_end": f.front_end, "inputs": f.inputs, "columns": f.columns, "options": dict(f.options)}
            for f in artefact.feeds
        ]
        return {"graph": graph, "feeds": feeds, "files": files}


def _files(feeds: tuple[Feed, ...], files: Any) -> list[tuple[str, bytes]]:
    """Return the files that feeds read, as JSON of which every sign is ASCII: halves of pairs of surrogates stay."""
    found = {}
    for feed in feeds:
        if feed.front_end in _FILE_OF:
            name = feed.options[_FILE_OF[feed.front_end]]
            data = read_tokeniser(files[name]) if feed.front_end == "tokens" else json.loads(files[name])
            found[name] = json.dumps(data, separators=(",", ":")).encode("ascii")
    return list(found.items())


def _columns(opened: Opened) -> list[dict[str, Any]]:
    """Return the columns that the bundle asks for, and how their cells are written."""
    named = {value.name for value in opened.manifest.signature.inputs}
    asked = [column for column in opened.manifest.columns if column.name in named]
    return [
        {
            "name": column.name,
            "kind": column.kind.value,
            "notation": column.notation,
            "lenient": column.lenient,
            "low": column.low,
            "high": column.high,
        }
        for column in asked
    ]
