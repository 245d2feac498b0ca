"""Requests that schemathesis makes of a description of the calls, and what every reply to them must keep.

    python tests/serve/generated.py --count 20000 --seed 0 [--results FILE]

Two descriptions are used: our own, whose every promise about replies is held against them (statuses, content types,
schemas), and the one of the standard, with the ``$`` mended that stands in its paths. Valid and invalid requests are
made of both. No reply may be a 5xx other than 503 with Retry-After. Further tensors, also over gRPC, are made by
``test_fuzz.py`` here and in ``grpc``.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

HERE = Path(__file__).parent
STANDARD = yaml.safe_load((HERE / "standard.yaml").read_text())
PROMISES = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
WEIGHTS = {"infer": 12, "predict": 12}
"""How many requests of an operation are made beside one of the others, which have little to vary."""


class Tally:
    """How many requests ended how."""

    def __init__(self):
        self.ended = Counter()
        self.empty = []
        """Operations of which no request could be made, such as invalid ones where anything is valid."""

    @property
    def total(self):
        return sum(self.ended.values())

    def judge(self, reply):
        """Count a reply; see that it is an answer, a refusal with a sentence, or a plea to come again."""
        status = reply.status_code
        self.ended[status] += 1
        assert status < 500 or (status == 503 and reply.headers.get("Retry-After")), (status, reply.text[:300])
        if status >= 400 and reply.request.method != "HEAD":
            assert list(reply.json()) == ["error"], reply.text[:300]
            assert reply.json()["error"]


def operations(document):
    """Return the operations of a description by their path."""
    found = schemathesis.openapi.from_dict(document).get_all_operations()
    return [result.ok() for result in found]


def weight(operation):
    return WEIGHTS.get(operation.path.rpartition("/")[2], 1)


def ask(operation, mode, often, number, base, session, tally, promises):  # noqa: PLR0917 - one place calls it
    """Make so many requests of an operation, if any can be made."""
    before = tally.total

    @seed(number)
    @settings(
        max_examples=often,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def each(case):
        reply = case.call(base_url=base, session=session, timeout=30)
        response = reply if isinstance(reply, requests.Response) else _plain(reply)
        tally.judge(response)
        if promises:
            case.validate_response(reply, checks=promises)

    try:
        each()
    except Unsatisfiable:
        if tally.total == before:
            tally.empty.append(f"{mode.value} {operation.label}")


def _plain(reply):
    """Return schemathesis' own response as one of requests, which :meth:`Tally.judge` reads."""
    made = requests.Response()
    made.status_code = reply.status_code
    made._content = reply.content
    made.headers.update({name: values[0] for name, values in reply.headers.items()})
    made.request = reply.request
    return made


def run(base, count, number, tally, documents):
    """Make about ``count`` requests of some descriptions: ``(description, promises)`` each."""
    load_all_checks()
    for document, promises in documents:
        asked = [
            (operation, mode)
            for operation in operations(document)
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        ]
        asked = [(o, m) for o, m in asked if m is GenerationMode.POSITIVE or o.body or list(o.iter_parameters())]
        whole = sum(weight(operation) for operation, _ in asked)
        with requests.Session() as session:
            for operation, mode in asked:
                share = max(1, round(count / len(documents) * weight(operation) / whole))
                ask(operation, mode, share, number, base, session, tally, promises)


def both(base):
    """Return the two descriptions, with what of each is held against replies."""
    ours = requests.get(f"{base}/openapi.json", timeout=30).json()
    return [(ours, PROMISES), (_for_model(STANDARD), [])]


def _for_model(document):
    """Mend the standard's paths, and have it ask for the model that there is in half of the cases."""
    text = json.dumps(document).replace("${MODEL_NAME}", "{MODEL_NAME}").replace("${MODEL_VERSION}", "{MODEL_VERSION}")
    made = json.loads(text)
    for path in made["paths"].values():
        for parameter in path.get("parameters", ()):
            there = "model" if parameter["name"] == "MODEL_NAME" else "1"
            parameter["schema"] = {"type": "string", "enum": [there, "other"]}
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    spec = importlib.util.spec_from_file_location("servers", HERE / "conftest.py")
    servers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(servers)
    tally, began = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        maker = servers._bundles.Maker()
        folders = {"two": maker.write(Path(home) / "two", maker.artefact(("age", "unused")))}
        folders["mixed"] = maker.write(Path(home) / "mixed", maker.mixed())
        for folder in folders.values():
            server = servers.Server(servers.make_app(folder, servers.Settings(no_keys=True, repository=True)))
            base = f"http://127.0.0.1:{server.port}"
            try:
                run(base, options.count / len(folders), options.seed, tally, both(base))
            finally:
                server.close()
    found = {"seed": options.seed, "requests": tally.total, "by status": dict(sorted(tally.ended.items()))}
    found["none could be made of"] = sorted(set(tally.empty))
    sys.stdout.write(f"{json.dumps(found)} in {time.monotonic() - began:.0f} s; no 5xx without Retry-After\n")
    if options.results:
        options.results.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
