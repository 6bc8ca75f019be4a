"""How much of a sweep's result each key decides."""

from __future__ import annotations

from .record import Record
from .search import known_trial, new_study

FEWEST = 5
"""Fewer trials than this say nothing of importance."""


def importance(record: Record) -> tuple[dict[str, float], str]:
    """Return the share of the metric's variance that each key explains alone, the greatest first, or why there is none.

    By fANOVA of Optuna, whose random forest is always drawn the same. Hutter, Hoos and Leyton-Brown 2014, An Efficient
    Approach for Assessing Hyperparameter Importance.
    """
    trials = [trial for trial in record.trials if trial.has_result]
    space = record.space
    varied = {key for key in space if len({repr(trial.point[key]) for trial in trials}) > 1}
    if len(trials) < FEWEST:
        return {}, f"It takes {FEWEST} trials with a result, and there are {len(trials)}."
    if len({trial.value for trial in trials}) < 2 or not varied:
        return {}, "All trials have the same result, or the same values."
    try:
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    except ImportError:
        return {}, "It needs Optuna: pip install 'frame-train[ray]', then make this page again."
    study = new_study(record.mode)
    study.add_trials([known_trial(space, trial) for trial in trials])
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return {key: float(share) for key, share in found.items() if key in varied}, ""
