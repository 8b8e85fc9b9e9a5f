"""The number of the method by which alerts are decided: who makes a state anew tells by it whether the same must come of it."""

METHOD = 1
"""The present method: expectations, thresholds, and what an alert says of itself.

Raise it by one in every change after which the same events and settings may give other alerts, or other figures in one: a baseline
that is fitted otherwise, a threshold that is drawn otherwise (also by a newer numpy or scipy that rounds or draws otherwise), what
waits as an artefact, when an alert opens, covers, settles or comes back, a new tendency, a field of the alert that is filled
otherwise. Not for texts, pages, routing, casework or speed. Stores note since which of the engine's days a number has been in
force; what was decided before is compared by its counts alone. A change that also counts the same events otherwise makes those
differ too: then `runtimes/comparable.py` must leave them out for the methods before it.
"""
