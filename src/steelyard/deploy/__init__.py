"""What it takes to run a bundle elsewhere: the context of a container image, or the manifests of Kubernetes.

:func:`deploy` writes a folder of plain files that the operator reads, keeps and applies; nothing is sent anywhere.
What the files ask for was measured: the bundle is served once beforehand, and a run says for how many requests a
second it was chosen. Needs the core install alone.
"""

from __future__ import annotations

from steelyard.deploy.docker import docker_files
from steelyard.deploy.kubernetes import kubernetes_files
from steelyard.deploy.make import Made, deploy
from steelyard.deploy.needs import Needs
from steelyard.deploy.pins import Pin, Pins, pins_of
from steelyard.deploy.rehearsal import Rehearsal, rehearse
from steelyard.deploy.wanted import To, Wanted
from steelyard.deploy.wheel import Wheel, make_wheel

__all__ = [
    "Made",
    "Needs",
    "Pin",
    "Pins",
    "Rehearsal",
    "To",
    "Wanted",
    "Wheel",
    "deploy",
    "docker_files",
    "kubernetes_files",
    "make_wheel",
    "pins_of",
    "rehearse",
]
