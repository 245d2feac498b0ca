"""Manifests of Kubernetes: a Deployment and what stands around it, as plain files for ``kubectl apply -k``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from steelyard.deploy.docker import ports_of
from steelyard.deploy.needs import Needs
from steelyard.deploy.pod import Json, labels, metadata, pod
from steelyard.deploy.wanted import Wanted, own_platform
from steelyard.deploy.yaml import written

_METRIC = "steelyard_queue_rows"
_BUSIEST = 80
"""Percent; a share of the processor that is averaged over pods tells nothing near 100."""
_WINDOW, _CALM = "2m", 300
"""Over what the queue is averaged, and the seconds for which it must be short before replicas go."""
_README = """\
# {name} on Kubernetes

```console
$ KEY=sy_$(openssl rand -hex 24)
$ kubectl create secret generic {name}-keys --from-literal=token="$KEY" \\
    --from-literal=keys="$(printf %s "$KEY" | sha256sum | cut -d' ' -f1) predict,read"
$ kubectl apply --kustomize .
$ kubectl rollout status deployment/{name}
```

The server reads `keys` alone, digests with their scopes, one a line; `token` is there for who scrapes `/metrics`. None
of these files holds a key. After a change of the Secret: `kubectl rollout restart deployment/{name}`.

- **Image**: `{image}`, built from the folder that `steelyard deploy --to docker` writes. Push it to a registry and
  name it with `kustomize edit set image`, or with `--image`; by its digest it cannot change under you.
- **Processors**: pods go to nodes of {processors} alone. An image of several architectures may run on more:
  `steelyard deploy --platform linux/amd64 --platform linux/arm64`.
- **Autoscaling** follows `{metric}`: on average {queue} rows may wait for a replica (`m` is a thousandth). The
  metric comes by way of prometheus-adapter: `prometheus-adapter.yaml` is its rule. Without the adapter the processor's
  {load} decides alone, and nothing is scaled down while the metric cannot be had.
- **Probes**: `/v2/health/live`, `/v2/health/ready`; {start} s for the start.
- **Stopping**: 5 s for the others to hear of it, then {grace} s for requests in flight.
- **Network**: only pods of this namespace and of those labelled `steelyard-client: {name}` reach the server, and it
  reaches nothing. Change `networkpolicy.yaml` for an ingress or for Prometheus.

Where the figures come from:

{reasons}
"""


def kubernetes_files(
    wanted: Wanted, image: str, needs: Needs, trust: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Return the manifests by the name of their file.

    Parameters
    ----------
    wanted
        What was asked for.
    image
        Reference of the image.
    needs
        Of one replica, and how many of them.
    trust
        Public keys by the name of their file.
    """
    objects = {
        "deployment.yaml": _deployment(wanted, image, needs),
        "service.yaml": _service(wanted),
        "horizontalpodautoscaler.yaml": _autoscaler(wanted, needs),
        "poddisruptionbudget.yaml": _budget(wanted),
        "networkpolicy.yaml": _network(wanted),
    }
    if trust:
        objects["configmap.yaml"] = _keys(wanted, trust)
    if wanted.monitor:
        objects["servicemonitor.yaml"] = _monitor(wanted)
    files = {name: written(data, *_comments(name, needs)) for name, data in objects.items()}
    files["kustomization.yaml"] = written(
        {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": list(objects)}
    )
    files["prometheus-adapter.yaml"] = written(
        _rule(), "For the configuration of prometheus-adapter; no object of the cluster."
    )
    files["README.md"] = _README.format(
        name=wanted.name,
        image=image,
        processors=" and ".join(each.partition("/")[2] for each in wanted.platforms or (own_platform(),)),
        metric=_METRIC,
        queue=_quantity(needs),
        load=f"{_busy(needs)}%",
        start=2 * needs.start_probes,
        grace=wanted.grace,
        reasons="\n".join(f"- {reason}" for reason in needs.reasons),
    )
    return {name: text.encode() for name, text in files.items()}


def _comments(name: str, needs: Needs) -> list[str]:
    if name == "deployment.yaml":
        return ["The number of replicas is the autoscaler's.", *needs.reasons]
    return [needs.reasons[0]] if name == "horizontalpodautoscaler.yaml" else []


def _deployment(wanted: Wanted, image: str, needs: Needs) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(wanted),
        "spec": {
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": 4 * needs.start_probes + 600,
            "selector": {"matchLabels": labels(wanted)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels(wanted)}, "spec": pod(wanted, image, needs)},
        },
    }


def _service(wanted: Wanted) -> Json:
    ports: list[Json] = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    if wanted.grpc_port is not None:
        grpc = {"name": "grpc", "port": wanted.grpc_port, "targetPort": "grpc", "protocol": "TCP"}
        ports.append(grpc | {"appProtocol": "kubernetes.io/h2c"})
    spec = {"type": "ClusterIP", "selector": labels(wanted), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(wanted), "spec": spec}


def _keys(wanted: Wanted, trust: Mapping[str, bytes]) -> Json:
    """Return the public keys as a ConfigMap: they are no secret, and changed without another image."""
    name = metadata(wanted) | {"name": f"{wanted.name}-trust"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": name,
        "data": {k: v.decode() for k, v in trust.items()},
    }


def _quantity(needs: Needs) -> str:
    """Return the queue as a quantity of Kubernetes."""
    return f"{math.ceil(1000 * needs.queue)}m"


def _busy(needs: Needs) -> int:
    """Return the share of the requested cores, in percent, above which replicas come."""
    return min(_BUSIEST, round(100 * needs.load))


def _autoscaler(wanted: Wanted, needs: Needs) -> Json:
    queue = {"metric": {"name": _METRIC}, "target": {"type": "AverageValue", "averageValue": _quantity(needs)}}
    share = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": _busy(needs)}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(wanted),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": wanted.name},
            "minReplicas": needs.least,
            "maxReplicas": needs.most,
            "metrics": [{"type": "Pods", "pods": queue}, {"type": "Resource", "resource": share}],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": _CALM,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                },
            },
        },
    }


def _rule() -> Json:
    """Return what prometheus-adapter must be told; its names are those of its own configuration."""
    return {
        "rules": [
            {
                "seriesQuery": f'{_METRIC}{{namespace!="",pod!=""}}',
                "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
                "name": {"as": _METRIC},
                "metricsQuery": f"sum(avg_over_time(<<.Series>>{{<<.LabelMatchers>>}}[{_WINDOW}])) by (<<.GroupBy>>)",
            }
        ]
    }


def _budget(wanted: Wanted) -> Json:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": labels(wanted)}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata(wanted), "spec": spec}


def _network(wanted: Wanted) -> Json:
    sources: list[Any] = [
        {"podSelector": {}},
        {"namespaceSelector": {}, "podSelector": {"matchLabels": {"steelyard-client": wanted.name}}},
    ]
    spec = {
        "podSelector": {"matchLabels": labels(wanted)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": sources, "ports": [{"port": port, "protocol": "TCP"} for port in ports_of(wanted).values()]}
        ],
        "egress": [],
    }
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata(wanted), "spec": spec}


def _monitor(wanted: Wanted) -> Json:
    credentials = {"type": "Bearer", "credentials": {"name": f"{wanted.name}-keys", "key": "token"}}
    endpoint = {"port": "http", "path": "/metrics", "interval": "15s", "authorization": credentials}
    spec = {"selector": {"matchLabels": labels(wanted)}, "endpoints": [endpoint]}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata(wanted),
        "spec": spec,
    }
