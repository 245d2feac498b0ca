"""Which version does what, and what each switch makes of that. Nothing here opens or writes anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from steelyard.errors import SwitchesDamaged
from steelyard.serve.faults import Fault


class Action(StrEnum):
    """A kind of switch."""

    PROMOTE = "promote"
    CANARY = "canary"
    SHADOW = "shadow"
    ROLLBACK = "rollback"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of a model, each the name of a version, or ``""`` where nobody has it."""

    stable: str = ""
    """Answers whoever names no version."""
    previous: str = ""
    """Was stable before, and stays in memory so that one can go back at once."""
    canary: str = ""
    """Answers a share of the requests instead of the stable one."""
    share: float = 0.0
    """Of the canary, above 0 to 1."""
    shadow: str = ""
    """Computes the rows of the stable one again, in the background, to be compared."""

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version that has a role, once, the stable one first."""
        return tuple(dict.fromkeys(filter(None, (self.stable, self.previous, self.canary, self.shadow))))

    def of(self, version: str) -> tuple[str, ...]:
        """Return the roles of a version.

        Examples
        --------
        >>> Roles(stable="2", previous="1", shadow="1").of("1")
        ('previous', 'shadow')
        """
        return tuple(role for role in ("stable", "previous", "canary", "shadow") if getattr(self, role) == version)

    def only(self, resident: Mapping[str, object]) -> Roles:
        """Return these roles without the versions that are not in memory, the stable one apart."""
        gone = {role: "" for role in ("previous", "canary", "shadow") if getattr(self, role) not in resident}
        return replace(self, **gone, share=0.0 if "canary" in gone else self.share)

    def to_json(self) -> dict[str, Any]:
        """Return a plain record."""
        return asdict(self)


def from_json(data: Any) -> Roles:
    """Read a record of roles.

    Raises
    ------
    SwitchesDamaged
        If it is none.
    """
    fields: dict[str, Any] = {"stable": str, "previous": str, "canary": str, "share": (int, float), "shadow": str}
    if not isinstance(data, dict) or set(data) != set(fields):
        raise SwitchesDamaged("a switch does not say which version has which role")
    if strange := [name for name, kind in fields.items() if not isinstance(data[name], kind)]:
        raise SwitchesDamaged(f"a switch says of {strange[0]!r} something that is no version and no share")
    return Roles(**data)


def after(roles: Roles, action: Action, version: str = "", share: float = 0.0) -> Roles:
    """Return the roles after a switch.

    Parameters
    ----------
    roles
        Those before.
    action, version
        What becomes of which version; a rollback takes none.
    share
        Of a canary, above 0 to 1.

    Raises
    ------
    Fault
        409 if these roles do not allow it.

    Examples
    --------
    >>> after(Roles(stable="1", canary="2", share=0.1), Action.PROMOTE, "2")
    Roles(stable='2', previous='1', canary='', share=0.0, shadow='')
    >>> after(Roles(stable="2", previous="1"), Action.ROLLBACK)
    Roles(stable='1', previous='', canary='', share=0.0, shadow='')
    """
    match action:
        case Action.ROLLBACK:
            if not roles.previous:
                raise conflict("there is no previous version to go back to; promote the one that shall answer")
            return replace(_without(roles, roles.previous), stable=roles.previous, previous="")
        case Action.RETIRE:
            return _retired(roles, version)
    if version == roles.stable:
        raise conflict(f"version {version!r} is the stable one already; name another")
    match action:
        case Action.PROMOTE:
            return replace(_without(roles, version), stable=version, previous=roles.stable)
        case Action.CANARY:
            kept = replace(roles, shadow="") if roles.shadow == version else roles
            return replace(kept, canary=version, share=share)
    if version == roles.canary:
        raise conflict(f"version {version!r} is the canary, whose answers are returned; retire it first")
    return replace(roles, shadow=version)


def _retired(roles: Roles, version: str) -> Roles:
    if version == roles.stable:
        raise conflict(f"version {version!r} answers the requests; promote another one first")
    if not roles.of(version):
        raise conflict(f"version {version!r} has no role to lose")
    kept = _without(roles, version)
    return replace(kept, previous="") if roles.previous == version else kept


def _without(roles: Roles, version: str) -> Roles:
    """Return the roles with a version neither canary nor shadow."""
    if roles.canary == version:
        roles = replace(roles, canary="", share=0.0)
    return replace(roles, shadow="") if roles.shadow == version else roles


def conflict(sentence: str) -> Fault:
    """Return the fault of a switch that cannot be made as things stand."""
    return Fault(409, "conflict", sentence)
