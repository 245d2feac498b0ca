"""Fields that a spec may set although nothing in this version goes by them."""

from __future__ import annotations

from steelyard.spec._spec import Spec


def unused(spec: Spec) -> tuple[str, ...]:
    """Return one sentence for each field that is set and has no effect in this version.

    Examples
    --------
    >>> unused(Spec(data="credit.csv", target="class", horizon_months=6))
    ('`horizon_months` (6) has no effect: returns have no price without `value` and `traffic`; give both.',)
    """
    found = []
    if "horizon_months" in spec.model_fields_set and (spec.value is None or spec.serving.traffic is None):
        found.append(
            f"`horizon_months` ({spec.horizon_months:g}) has no effect: returns have no price without `value` and "
            "`traffic`; give both."
        )
    if spec.returns is not None and (spec.value is None or spec.serving.traffic is None):
        found.append("`returns` has no effect: there is no return without `value` and `traffic`; give both.")
    if spec.budget.labels:
        found.append(
            f"`budget.labels` ({spec.budget.labels}) has no effect: no lever of this version buys labels, so none are "
            "bought; leave it out."
        )
    return tuple(found)
