"""The context of a container image: Dockerfile, pinned packages, what to leave out, and a file for Compose."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from steelyard.deploy.carried import TRUSTED, options_for
from steelyard.deploy.needs import Needs
from steelyard.deploy.pins import Pins
from steelyard.deploy.rehearsal import options_of
from steelyard.deploy.wanted import PLATFORMS, PORT, Wanted, own_platform, usual_base
from steelyard.deploy.wheel import Wheel
from steelyard.deploy.yaml import written

USER = 10001
"""Of user and group in the container; above what a system gives to its own."""
BASE_BYTES = 130_000_000
"""What the usual base image takes, assumed: its bytes are known only where it was pulled."""
WHEELS = {"linux/amd64": 208.8, "linux/arm64": 199.5}
"""MB of the wheels of the core install, unpacked, by platform: CPython 3.11, November 2026; measured by
``benchmarks/shrink/exits.py``."""
_HOME = "/opt/steelyard"
_KEYS = "/run/secrets/keys"
_READY = (
    "import http.client as h; c = h.HTTPConnection('127.0.0.1', {port}, timeout=2); "
    "c.request('GET', '/v2/health/ready'); raise SystemExit(c.getresponse().status != 200)"
)
_DOCKERFILE = """\
# The image of {image}, made by `steelyard deploy`.
# A tag may come to mean another image: look up the digest of the one you tested, and build with
#   docker build --build-arg BASE={base}@sha256:DIGEST --tag {image} .
ARG BASE={base}

FROM ${{BASE}} AS packages
COPY requirements.txt {wheel} /build/
RUN python -m venv --without-pip {home} \\
 && python -m pip --python {home}/bin/python install --no-cache-dir --no-deps --only-binary :all: \\
    --requirement /build/requirements.txt /build/{wheel} \\
 && python -m pip --python {home}/bin/python check

FROM ${{BASE}}
COPY --from=packages {home} {home}
COPY bundle /bundle
{trust}ENV PATH={home}/bin:$PATH \\
    HOME=/tmp \\
    PYTHONDONTWRITEBYTECODE=1 \\
    PYTHONUNBUFFERED=1
WORKDIR /tmp
USER {user}:{user}
EXPOSE {ports}
HEALTHCHECK --interval=10s --timeout=3s --start-period={start}s --retries=3 \\
    CMD {ready}
ENTRYPOINT {entrypoint}
"""
_IGNORE = """\
# Nothing but what the Dockerfile copies: no key that lies here by chance comes into the image.
*
!requirements.txt
!{wheel}
!bundle
{also}"""
_BAKE = """\
# docker buildx bake --push
group "default" {{
  targets = ["server"]
}}

target "server" {{
  context   = "."
  platforms = [{platforms}]
  tags      = ["{image}"]
}}
"""
_README = """\
# {image}

```console
$ docker build --tag {image} .
$ docker run --rm {publish} {image}      # prints a key, once
```

For {processors} at once, with buildx and, for a processor other than this machine's, QEMU or a builder of that kind:

```console
$ docker buildx build --platform {several} --tag {image} --push .    # as `docker buildx bake --push` does
```

With keys of your own, of which only digests are kept:

```console
$ KEY=sy_$(openssl rand -hex 24)
$ echo "$(printf %s "$KEY" | sha256sum | cut -d' ' -f1) predict,read" > keys
$ docker compose up --detach
$ curl --header "Authorization: Bearer $KEY" http://127.0.0.1:{port}/v2/models/{model}
```

- Options of `steelyard serve` stand after the image: `docker run ... {image} --log-share 0.1`.
- The root file system may be read-only (`--read-only --tmpfs /tmp`); the server runs as user {user}.
- `docker stop` lets requests in flight end: give it `--time {stop}`, as `compose.yaml` does.
- The base image is named by its tag. Look up the digest of the one you tested, and build with
  `--build-arg BASE={base}@sha256:DIGEST`.

{reasons}
"""


@dataclass(frozen=True, slots=True)
class Context:
    """What goes into the image."""

    pins: Pins
    wheel: Wheel
    bundle_bytes: int
    trust: Mapping[str, bytes] = field(default_factory=dict)
    """Public keys by the name of their file."""

    def size(self, base: str) -> str:
        """Tell how large the image will be, in a sentence."""
        packages, own, bundle = (n / 1e6 for n in (self.pins.size, self.wheel.size, self.bundle_bytes))
        measured = packages + own + bundle
        parts = f"{packages:,.0f} MB of packages, {own:,.1f} MB of steelyard and {bundle:,.1f} MB of bundle"
        if base:
            return f"the image takes the base {base} and about {measured:,.0f} MB on top: {parts}, measured here"
        total = measured + BASE_BYTES / 1e6
        return (
            f"the image will take about {total:,.0f} MB (estimated): {parts}, measured here, on a base of about "
            f"{BASE_BYTES / 1e6:,.0f} MB (assumed; {usual_base()})"
        )

    def elsewhere(self, platforms: Sequence[str]) -> str:
        """Tell how large the packages are on other processors than this machine's, in a sentence; empty: none."""
        here = own_platform()
        sizes = [
            f"{self.pins.size / 1e6 * WHEELS[each] / WHEELS[here]:,.0f} MB for {each}"
            for each in platforms
            if each != here
        ]
        words = "the packages will take about {} (estimated: as measured here, in proportion to the sizes of wheels)"
        return words.format(" and ".join(sizes)) if sizes else ""


def command_of(wanted: Wanted) -> list[str]:
    """Return the command of the container."""
    anywhere = "0.0.0.0"  # noqa: S104 - the container's own addresses
    grpc = [] if wanted.grpc_port is None else ["--grpc-port", str(wanted.grpc_port)]
    beside = [*grpc, *options_for(len(wanted.trust))]
    return ["steelyard", "serve", "/bundle", "--host", anywhere, "--port", str(PORT), *beside, *options_of(wanted)]


def ports_of(wanted: Wanted) -> dict[str, int]:
    """Return the ports of the container by name."""
    return {"http": PORT} | ({} if wanted.grpc_port is None else {"grpc": wanted.grpc_port})


def docker_files(wanted: Wanted, image: str, context: Context, needs: Needs) -> dict[str, bytes]:
    """Return the files of the context by name, the bundle left out.

    Parameters
    ----------
    wanted
        What was asked for.
    image
        Reference of the image.
    context
        What goes into it.
    needs
        Of one replica.
    """
    base = wanted.base or usual_base()
    health = ["python", "-I", "-S", "-c", _READY.format(port=PORT)]
    words = {
        "image": image,
        "base": base,
        "wheel": context.wheel.name,
        "home": _HOME,
        "user": USER,
        "port": PORT,
        "ports": " ".join(map(str, ports_of(wanted).values())),
        "publish": " ".join(f"--publish {_published(port)}" for port in ports_of(wanted).values()),
        "trust": f"COPY {TRUSTED[1:]} {TRUSTED}\n" if wanted.trust else "",
        "also": f"!{TRUSTED[1:]}\n" if wanted.trust else "",
        "model": wanted.model,
        "several": ",".join(_platforms(wanted)),
        "platforms": ", ".join(f'"{each}"' for each in _platforms(wanted)),
        "processors": " and ".join(each.partition("/")[2] for each in _platforms(wanted)),
        "start": 2 * needs.start_probes,
        "stop": wanted.grace + 10,
        "ready": json.dumps(health),
        "entrypoint": json.dumps(command_of(wanted)),
        "reasons": "\n".join(_lines(needs, context, wanted)),
    }
    texts = {
        "Dockerfile": _DOCKERFILE.format(**words),
        ".dockerignore": _IGNORE.format(**words),
        "docker-bake.hcl": _BAKE.format(**words),
        "requirements.txt": context.pins.requirements,
        "compose.yaml": written(_compose(wanted, image, needs), f"Serves {image}; `keys` holds digests of keys."),
        "README.md": _README.format(**words),
    }
    keys = {f"{TRUSTED[1:]}/{name}": key for name, key in context.trust.items()}
    return {name: text.encode() for name, text in texts.items()} | keys | {context.wheel.name: context.wheel.content}


def _platforms(wanted: Wanted) -> tuple[str, ...]:
    return wanted.platforms or PLATFORMS


def _published(port: int) -> str:
    return f"127.0.0.1:{port}:{port}"


def _lines(needs: Needs, context: Context, wanted: Wanted) -> Iterator[str]:
    yield "Where the figures come from:\n"
    yield f"- {context.size(wanted.base)}"
    if other := context.elsewhere(_platforms(wanted)):
        yield f"- {other}"
    yield f"- measured on {own_platform()}; another processor takes another time"
    for reason in needs.reasons:
        if not reason.startswith("replicas"):
            yield f"- {reason}"


def _compose(wanted: Wanted, image: str, needs: Needs) -> dict[str, object]:
    service = {
        "build": ".",
        "image": image,
        "command": ["--keys", _KEYS],
        "ports": [_published(port) for port in ports_of(wanted).values()],
        "secrets": ["keys"],
        "init": True,
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - inside the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": f"{needs.memory_limit_mib}m",
        "stop_grace_period": f"{wanted.grace + 10}s",
        "restart": "unless-stopped",
    }
    return {"name": wanted.name, "services": {"server": service}, "secrets": {"keys": {"file": "./keys"}}}
