"""``--to ort``: graphs in ONNX Runtime's own format, and the list of operators that a minimal build of it needs.

Format and build: https://onnxruntime.ai/docs/performance/model-optimizations/ort-format-models.html and
https://onnxruntime.ai/docs/build/custom.html.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from steelyard.bundle.manifest import GRAPH
from steelyard.bundle.opening import Opened
from steelyard.errors import ExportRefused, need
from steelyard.export.bundles import Source, graphs_of, manifest_of, write
from steelyard.export.described import about
from steelyard.export.formats import Given, Written

MODEL, CONFIG, INPUTS = "model.ort", "required_operators.config", "inputs.json"
_CONFIG_MADE = "required_operators_and_types.config"
_README = """\
# {target}: ONNX Runtime format

Graphs that were optimised for no machine in particular (style Fixed, no layout of one processor), for ONNX Runtime
{version} or newer. `{config}` lists what they ask for: {operators} operators, with the types of their
inputs. A build of ONNX Runtime that holds nothing else:

```console
$ git clone --recursive --branch v{version} https://github.com/microsoft/onnxruntime && cd onnxruntime
$ ./build.sh --config MinSizeRel --build_shared_lib --parallel --skip_tests \\
    --minimal_build --disable_exceptions{ml} \\
    --include_ops_by_config ../{config} --enable_reduced_operator_type_support
```

Add `--android --android_abi arm64-v8a`, `--ios` or a toolchain file for another machine; leave `--disable_exceptions`
out where a wrong model should raise rather than abort. The installed onnxruntime loads the files too.

| file | bytes | as ONNX |
|---|---|---|
{sizes}

`inputs.json` says what each input is and how it is made, `files/` holds what front ends read (vocabularies,
tokenizers), `manifest.json` is that of the bundle: classes, columns, and the rule that joins several graphs.
"""


def folder(source: Source, given: Given) -> Written:
    """Write the folder.

    Raises
    ------
    ExportRefused
        If ONNX Runtime cannot convert a graph.
    MissingExtra
        If onnx is not installed.
    """
    assert given.out is not None, "a folder was asked for"
    opened = source.opened
    graphs = {f"{place}/" if place else "": one.artefact() for place, one in graphs_of(opened)}
    made, config = converted({place: artefact.graph for place, artefact in graphs.items()})
    files = manifest_of(opened) | {CONFIG: config.encode()}
    for place, artefact in graphs.items():
        files[f"{place}{MODEL}"] = made[place]
        files |= {f"{place}files/{name}": content for name, content in artefact.files.items()}
    files[INPUTS] = json.dumps(about(opened, MODEL), indent=1, ensure_ascii=False).encode(errors="surrogatepass")
    sizes = [(f"{place}{MODEL}", len(made[place]), len(artefact.graph)) for place, artefact in graphs.items()]
    files["README.md"] = _readme(opened, config, sizes).encode()
    write(given.out, files)
    said = [f"{name}: {size:,} bytes; as ONNX {before:,}" for name, size, before in sizes]
    return Written(str(given.out), said=(*said, f"{CONFIG}: {_count(config)} operators"))


def converted(graphs: dict[str, bytes]) -> tuple[dict[str, bytes], str]:
    """Return graphs in ONNX Runtime's format by the same names, and the operators that they need, with types.

    Raises
    ------
    ExportRefused
        If one cannot be converted.
    """
    need("onnx", for_="--to ort")
    need("flatbuffers", for_="--to ort")
    with _logging_as_it_was():
        return _converted(graphs)


@contextlib.contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """Put back what the converter changes: it configures the logging of the whole process."""
    root = logging.getLogger()
    handlers, level, least = root.handlers[:], root.level, root.manager.disable
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # it leaves files open
            yield
    finally:
        logging.disable(least)
        root.handlers[:], root.level = handlers, level


def _converted(graphs: dict[str, bytes]) -> tuple[dict[str, bytes], str]:
    tool = need("onnxruntime.tools.convert_onnx_models_to_ort", for_="--to ort")
    fails = need("onnxruntime.capi.onnxruntime_pybind11_state", for_="--to ort")
    with tempfile.TemporaryDirectory() as home:
        before, after = Path(home) / "onnx", Path(home) / "ort"
        for place, graph in graphs.items():
            (before / place).mkdir(parents=True, exist_ok=True)
            (before / place / GRAPH).write_bytes(graph)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                tool.convert_onnx_models_to_ort(
                    before, after, [tool.OptimizationStyle.Fixed], enable_type_reduction=True
                )
        except (fails.Fail, fails.NotImplemented, fails.InvalidGraph, fails.RuntimeException) as problem:
            raise ExportRefused(
                f"ONNX Runtime cannot convert the graph: {str(problem).splitlines()[0]}; export it with --to onnx"
            ) from problem
        made = {place: (after / place / MODEL).read_bytes() for place in graphs}
        lines = (after / _CONFIG_MADE).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("#")]
    return made, "\n".join(["# What a minimal build of ONNX Runtime needs: domain;version;operators", *kept, ""])


def _operators(config: str) -> list[str]:
    """Return the domains and operators of a list: lines of ``domain;version;A,B{types},C``."""
    found = []
    for line in config.splitlines():
        if line.startswith("#") or line.count(";") < 2:
            continue
        domain, _, names = line.split(";", maxsplit=2)
        depth, word = 0, ""
        for sign in f"{names},":
            depth += {"{": 1, "}": -1}.get(sign, 0)
            if sign == "," and depth == 0:
                found.append(f"{domain}:{word.partition('{')[0].strip()}")
                word = ""
            else:
                word += sign
    return found


def _count(config: str) -> int:
    return len(_operators(config))


def _readme(opened: Opened, config: str, sizes: Sequence[tuple[str, int, int]]) -> str:
    version = need("onnxruntime", for_="--to ort").__version__
    ml = any(name.startswith("ai.onnx.ml:") for name in _operators(config))
    return _README.format(
        target=opened.manifest.task.target,
        version=version,
        config=CONFIG,
        operators=_count(config),
        ml="" if ml else " --disable_ml_ops",
        sizes="\n".join(f"| `{name}` | {size:,} | {before:,} |" for name, size, before in sizes),
    )
