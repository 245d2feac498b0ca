"""Levers that join finished bundles by a rule fitted on rows none of them trained on.

``ensemble`` blends several, ``calibrate`` makes probabilities mean what they say, ``threshold`` decides where decisions
are worth most, ``quantile`` moves numbers to where errors cost least, ``cascade`` asks a dear model only where a cheap
one is unsure. They nest in any order.
"""
