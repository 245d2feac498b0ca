"""Made-up blocks of a report that other parts of the house fill, in the shapes that they keep."""

import math


def about(value, half, how="estimated", **more):
    return {"value": value, "low": value - half, "high": value + half, "how": how, **more}


def capacity():
    rps = [12 + 38 * max(0.0, math.sin((h - 6) / 24 * 2 * math.pi)) ** 2 + (h in range(8, 20)) * 60 for h in range(24)]
    machine = {"cloud": "aws", "region": "us-east-1", "cores": 2, "memory_gb": 8.0, "accelerator": None}
    return {
        "currency": "USD",
        "target_ms": 20,
        "model": "M/D/c",
        "hours": [{"hour": h, "rps": round(v, 2), "replicas": 1 + int(v > 60)} for h, v in enumerate(rps)],
        "fixed": {"replicas": 2, "month": about(61.3, 2.1), "per_million": about(0.46, 0.02), "idle_share": 0.71},
        "autoscaled": {"replicas": 2, "month": about(44.8, 3.0), "per_million": about(0.34, 0.03), "idle_share": 0.6},
        "machines": [
            {
                **machine,
                "name": f"m{k}.large",
                "how": "estimated",
                "replicas": k,
                "month": 40.0 + 9 * k,
                "per_million": 0.3 + 0.1 * k,
                "spot_month": 14.0 if k % 2 else None,
            }
            for k in range(1, 6)
        ],
        "placement": [
            {
                "kind": "function",
                "name": "lambda, 512 MB",
                "month": 21.4,
                "per_million": 0.16,
                "how": "estimated",
                "note": "A cold start takes 0.3 s (assumed).",
            },
            {"kind": "general", "name": "m1.large", "month": 44.8, "per_million": 0.34, "how": "estimated", "note": ""},
        ],
        "crossovers": [{"rps": 61.5, "below": "lambda, 512 MB", "above": "m1.large"}],
        "sentence": "Two replicas of one core hold 20 ms at the peak of 98 requests/s; one is enough at night.",
    }


def returns():
    return {
        "currency": "USD",
        "horizon_months": 12,
        "discount_rate": 0.08,
        "upfront": 640.0,
        "month": {"value": 410.0, "serving": 44.8, "people": 120.0, "retraining": 9.5, "labels": 12.0},
        "npv": about(1489.0, 702.0),
        "roi": about(0.61, 0.3),
        "payback_months": about(2.9, 1.1),
        "break_even_rps": 3.1,
        "break_even_quality": {"metric": "recall", "value": 0.71, "sentence": "It is worth it above 71% recall."},
        "against": [
            {"name": "nothing", "npv": about(1489.0, 702.0)},
            {"name": "people", "npv": about(5210.0, 1800.0)},
            {"name": "incumbent", "npv": about(-84.0, 320.0)},
        ],
        "tornado": [
            {
                "name": "value of a true positive",
                "unit": "USD",
                "low": 3.0,
                "high": 7.0,
                "npv_at_low": 320.0,
                "npv_at_high": 2610.0,
            },
            {
                "name": "mean traffic",
                "unit": "requests/s",
                "low": 30,
                "high": 70,
                "npv_at_low": 760.0,
                "npv_at_high": 2220.0,
            },
            {
                "name": "price of a core-hour",
                "unit": "USD",
                "low": 0.03,
                "high": 0.08,
                "npv_at_low": 1580.0,
                "npv_at_high": 1290.0,
            },
        ],
        "assumptions": [
            {"name": "hour of an engineer", "range": "60 to 120 USD", "how": "assumed", "source": "the spec"},
        ],
        "sentence": "Over 12 months it returns 1,489 USD more than doing nothing (787 to 2,191), and pays back in "
        "2.9 months.",
    }


def attribution():
    def lever(name, quality, month, path, **more):
        return {
            "lever": name, "tried": 4, "spent": 0.00031, "quality": about(quality, 0.006, "measured"),
            "latency_ms": about(0.02, 0.01, "measured"), "size_bytes": -12_300, "month": about(month, 4.0),
            "on_path": path, "interaction_with": None, "sentence": f"{name} was worth it.", **more,
        }  # fmt: skip

    levers = [
        lever("tune", 0.010, 31.0, True),
        lever("quantise", -0.001, 2.0, False),
        lever("ensemble", 0.006, -8.0, True),
    ]
    return {"currency": "USD", "method": "shapley", "path": [1, 3, 5], "total": {"quality": about(0.016, 0.01)},
            "levers": levers}  # fmt: skip


def advice():
    def action(name, kind, gain, cost):
        return {
            "name": name, "kind": kind, "gain": about(gain, gain / 2), "cost": about(cost, cost / 10),
            "per_dollar": about(gain / cost, 1.0), "evidence": "label curve of five rounds", "sentence": f"Do {name}.",
        }  # fmt: skip

    actions = [action("buy 1,000 labels", "labels", 310.0, 50.0), action("tune linear further", "tune", 2.0, 0.01)]
    return {"currency": "USD", "actions": actions, "next": 1, "stop": None, "curve": {}}


def with_blocks(report):
    """Return a report with every block filled."""
    bottleneck = {"loading": 0.1, "preparing": 0.4, "computing": 1.3, "waiting": 0.2, "idle_share": 0.3,
                  "sentence": "A third of the cores had nothing to do: give `workers: 2`."}  # fmt: skip
    right = {
        "probability": {str(report["decision"]["number"]): 0.64, "5": 0.3, "3": 0.06},
        "regret": {"runner_up": 5, "quality": about(0.004, 0.01)},
        "relaxing": [{"target": "latency_p95_ms", "tightest": True, "short_by": 0.0, "price": None,
                      "sentence": "10 ms more would change nothing."}],
    }  # fmt: skip
    bins = [[k / 10 + 0.05, k / 10 + 0.04, max(0.0, k / 10 - 0.05), min(1.0, k / 10 + 0.13), 80] for k in range(10)]
    return {
        **report,
        "decision": {**report["decision"], "right": right},
        "trials": [
            {**row, "bottlenecks": bottleneck if row["ending"] == "measured" else None} for row in report["trials"]
        ],
        "capacity": capacity(),
        "returns": returns(),
        "attribution": attribution(),
        "advice": advice(),
        "judged": {"rows": 800, "confusion": [[480, 80], [90, 150]], "bins": bins, "error": 0.021},
    }
