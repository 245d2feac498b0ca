"""From a spec to a decision: what to try next, who executes it, what is kept, when to stop.

Read in this order: ``conduct`` (a whole run), ``loop`` (trials until it is time to decide), ``moves`` (which recipe
next), ``allowance`` (the budget as a promise), ``pool`` and ``worker`` (processes), ``execute`` (one job), ``training``
and ``joining`` (how a recipe becomes bundles), ``finish`` and ``final`` (the decision and what ships), ``events``,
``history`` and ``recount`` (what a run remembers).
"""
