"""A calibration as people read it."""

from __future__ import annotations

from typing import Any

from steelyard.serve.escalation.plan import Plan, written

_ROWS = (("never", "bundle alone"), ("always", "always escalated"), ("rule", "with this rule"))


def describe(plan: Plan) -> str:
    """Return some lines: the share, the promise, quality and cost, and what is saved."""
    share, rule, costs = plan.escalated, plan.rule, plan.figures["cost_per_million"]
    name = next(name for name in plan.figures if name not in {"cost_per_million", "call_ms"})
    lines = [
        f"escalates {share.share:.1%} of rows ({share.low:.1%} to {share.high:.1%}, 95%, on {share.rows:,} rows)",
        f"those whose {rule.measure} is below {rule.at:.3f}",
        _promised(plan),
        "",
        f"{'':18}{name:>28}{'cost per million decisions':>44}",
    ]
    lines += [f"{shown:18}{_figure(plan.figures[name][key]):>28}{_money(costs[key]):>44}" for key, shown in _ROWS]
    lines += [
        "",
        f"saves {_money(costs['saved_against_always'])} a million against always escalating",
        f"pays {_money(costs['paid_over_never'])} a million over never escalating",
    ]
    if plan.person is not None and plan.figures["error"]["always"].get("source"):
        lines.append(f"{plan.figures['error']['always']['source']}; one decision costs {written(plan.price)}")
    return "\n".join(lines)


def _promised(plan: Plan) -> str:
    promise = plan.promise
    if promise.error_at_most is None and promise.lost_at_most is None:
        return "promises nothing: a row is passed on where a person's decision returns more than its price"
    if promise.error_at_most is not None:
        what = f"at most {promise.error_at_most:.2%} of the decisions that no person sees are wrong"
    else:
        assert plan.remote is not None
        what = f"at most {promise.lost_at_most:g} in {promise.metric} is lost against always asking {plan.remote.url}"
    return f"promises with {promise.confidence:.0%} confidence: {what}"


def _figure(found: dict[str, Any]) -> str:
    if found["low"] == found["high"]:
        return f"{found['value']:.4f}"
    return f"{found['value']:.4f} ({found['low']:.4f}-{found['high']:.4f})"


def _money(found: dict[str, Any]) -> str:
    currency = str(found["unit"]).split()[0]
    spread = "" if found["low"] == found["high"] else f" ({found['low']:,.2f}-{found['high']:,.2f})"
    return f"{found['value']:,.2f}{spread} {currency}"
