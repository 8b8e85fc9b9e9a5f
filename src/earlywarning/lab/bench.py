"""The lab's face: record a history once, then ask at once what any settings would have given.

    recording = record(register, tree, calendar, settings, events, first)
    today, tried = retune(recording, Choice()), retune(recording, Choice(budget=2.0, windows=(1, 7)))

Everything that comes out is a plain value (msgspec structures of numbers, words and dates).
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from earlywarning.lab.choices import TENDENCIES, Choice, Settled, settle_choice, thresholds
from earlywarning.lab.curves import BUDGETS, CurvePoint, curve_of
from earlywarning.lab.injection import Injected, Injection, inject_surge
from earlywarning.lab.judged_days import LabError
from earlywarning.lab.labels import Judgement, Label, LabelAnswer, judge, labels_of_group, read_labels
from earlywarning.lab.outcomes import Outcome, TriedAlert, WeekCount, outcome
from earlywarning.lab.recorder import MOST, record
from earlywarning.lab.recording import Recording, load_recording, save_recording
from earlywarning.lab.regroup import regroup
from earlywarning.lab.surges import SHAPES, Surge

__all__ = [
    "BUDGETS", "MOST", "SHAPES", "TENDENCIES", "Choice", "CurvePoint", "Injected", "Injection", "Judgement", "LabError", "Label",
    "LabelAnswer", "Outcome", "Recording", "Settled", "Surge", "TriedAlert", "WeekCount", "curve", "inject", "judge",
    "labels_of_group", "load_recording", "read_labels", "record", "retune", "save_recording",
]  # fmt: skip

_KEPT = 32  # outcomes of one recording, so that today's need not be found anew for each that is set beside it


def retune(recording: Recording, choice: Choice) -> Outcome:
    """The alerts that a choice would have given on the recorded history; Choice() is today's settings, on the same path.

    How long it takes for 60 areas, 40 categories and five years stands in benchmarks/README.md. Raises LabError for a choice
    that the recording cannot answer.
    """
    settled = settle_choice(recording, choice)
    kept: dict[bytes, Outcome] = recording.memo.setdefault("outcomes", {})
    key = msgspec.json.encode(msgspec.structs.replace(settled, name=""))
    found = kept.pop(key, None)
    if found is None:
        limits = [t.score for t in thresholds(recording, settled)]
        found = outcome(recording, settled, regroup(recording, settled), float(np.mean(limits)))
    kept[key] = found  # the newest last
    while len(kept) > _KEPT:
        del kept[next(iter(kept))]
    return found if found.choice.name == settled.name else msgspec.structs.replace(found, choice=settled)


def curve(
    recording: Recording, labels: Sequence[Label], choice: Choice = Choice(), budgets: Sequence[float] = BUDGETS
) -> list[CurvePoint]:
    """Known events found against false alarms a week, a point for each budget; the rest of the settings as chosen.

    Raises LabError when no label is a true event within the judged days.
    """
    return curve_of(recording, labels, choice, budgets, lambda c: retune(recording, c))


def inject(recording: Recording, surge: Surge, choices: Sequence[Choice] = (Choice(),), repeats: int = 1) -> list[Injection]:
    """When a surge put into the history would have been found, for each choice (their periods and places are not heeded).

    repeats: days on which it begins, the surge's own first. Raises LabError for what cannot be tried.
    """
    return inject_surge(recording, surge, choices, repeats)
