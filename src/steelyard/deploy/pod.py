"""One pod: the container with its probes, what it may use, and all that it may not do."""

from __future__ import annotations

from typing import Any

from steelyard.deploy.carried import TRUSTED
from steelyard.deploy.docker import USER, command_of, ports_of
from steelyard.deploy.needs import Needs
from steelyard.deploy.wanted import Wanted, own_platform

Json = dict[str, Any]
_KEYS = "/etc/steelyard"
_TOLD = 5
"""Seconds in which those who send requests hear that a pod is going."""
_SLACK = 5


def labels(wanted: Wanted) -> dict[str, str]:
    """Return what tells the pods of a deployment from others."""
    return {"app.kubernetes.io/name": "steelyard", "app.kubernetes.io/instance": wanted.name}


def metadata(wanted: Wanted) -> Json:
    """Return name and labels of an object."""
    return {"name": wanted.name, "labels": labels(wanted) | {"app.kubernetes.io/component": "server"}}


def pod(wanted: Wanted, image: str, needs: Needs) -> Json:
    """Return the specification of a pod."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(wanted)},
    }
    keys = {"secretName": f"{wanted.name}-keys", "items": [{"key": "keys", "path": "keys"}], "defaultMode": 0o440}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _TOLD + wanted.grace + _SLACK,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "affinity": {"nodeAffinity": _nodes(wanted)},
        "topologySpreadConstraints": [spread, spread | {"topologyKey": "topology.kubernetes.io/zone"}],
        "containers": [_container(wanted, image, needs)],
        "volumes": [
            {"name": "keys", "secret": keys},
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
            *_trust(wanted),
        ],
    }


def _nodes(wanted: Wanted) -> Json:
    """Return the nodes that an image of these platforms runs on; elsewhere it could not even start."""
    processors = [each.partition("/")[2] for each in wanted.platforms or (own_platform(),)]
    fits = {"key": "kubernetes.io/arch", "operator": "In", "values": processors}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [fits]}]}
    return {"requiredDuringSchedulingIgnoredDuringExecution": terms}


def _container(wanted: Wanted, image: str, needs: Needs) -> Json:
    return {
        "name": "server",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [word.replace("$(", "$$(") for word in command_of(wanted)],  # $(NAME) would be a variable
        "args": ["--keys", f"{_KEYS}/keys"],
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports_of(wanted).items()],
        "resources": {
            "requests": {"cpu": str(needs.cores), "memory": f"{needs.memory_mib}Mi"},
            "limits": {"cpu": str(needs.cores + 1), "memory": f"{needs.memory_limit_mib}Mi"},
        },
        "startupProbe": _probe("ready", every=2, failures=needs.start_probes),
        "readinessProbe": _readiness(wanted),
        "livenessProbe": _probe("live", every=10, failures=3),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(_TOLD)]}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "keys", "mountPath": _KEYS, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - inside the container
            *([{"name": "trust", "mountPath": TRUSTED, "readOnly": True}] if wanted.trust else []),
        ],
    }


def _trust(wanted: Wanted) -> list[Json]:
    """Return the volume of the public keys, which takes the place of those in the image."""
    return [{"name": "trust", "configMap": {"name": f"{wanted.name}-trust"}}] if wanted.trust else []


def _readiness(wanted: Wanted) -> Json:
    """Return how it is told whether requests may come: by HTTP, or by gRPC where that is served too."""
    http = _probe("ready", every=5, failures=2)
    if wanted.grpc_port is None:
        return http
    return {name: value for name, value in http.items() if name != "httpGet"} | {"grpc": {"port": wanted.grpc_port}}


def _probe(what: str, *, every: int, failures: int) -> Json:
    get = {"path": f"/v2/health/{what}", "port": "http"}
    return {"httpGet": get, "periodSeconds": every, "timeoutSeconds": 3, "failureThreshold": failures}
