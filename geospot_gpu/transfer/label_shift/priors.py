"""Shares of classes in a target: from what a model says there, or from a few labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

LEAST = 1e-6
"""The least probability of a class: models that are wrong say 0, of which no share ever follows."""
_TOLERANCE, _MOST = 1e-6, 2000
_RIDGE = 0.5


def em_priors(probability: Floats, prior: Floats) -> Floats:
    r"""Shares of classes where probabilities are those of a model of other shares, [K].

    The shares :math:`q` of largest likelihood :math:`\prod_i \sum_y p_i(y) q_y / p_y`, by
    expectation maximisation (Saerens, Latinne & Decaestecker 2002, Adjusting the outputs of a
    classifier to new a priori probabilities): :math:`q_y` is the mean of what :func:`reweighted`
    makes of the probabilities.

    Args:
        probability: of classes by the model, above 0, rows sum to one, [n, K].
        prior: shares of classes where it was trained, above 0, [K].

    >>> probability = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
    >>> em_priors(probability, np.array([0.5, 0.5])).round(3).tolist()
    [0.812, 0.188]
    """
    found = prior
    for _ in range(_MOST):
        before, found = found, reweighted(probability, found / prior).mean(0)
        if np.abs(found - before).max() < _TOLERANCE:
            break
    return found


def confusion_priors(said: Codes, home: Codes, truth: Codes, prior: Floats) -> Floats:
    r"""Shares of classes where only predictions of a model are known, [K].

    Under label shift predictions have shares :math:`\mu_i = \sum_y P(i | y) q_y`, which is solved
    for shares of 0 or more by least squares (black box shift estimation: Lipton, Wang & Smola
    2018, Detecting and correcting for label shift with black box predictors).

    Args:
        said: predictions in the target, [n].
        home, truth: predictions and labels in the source, [m].
        prior: shares of classes there, [K].
    """
    from scipy.optimize import nnls

    count = len(prior)
    given = _confusion(home, truth, count) + 0.5 * np.eye(count)  # classes the source lacks, too
    share = nnls(given / given.sum(0), np.bincount(said, minlength=count) / len(said))[0]
    return np.asarray(share / share.sum())


def label_priors(label: Codes, prior: Floats) -> Floats:
    """Shares of classes from labels [k]: their Dirichlet mean, [K].

    The shares of the source count as one more label.

    >>> label_priors(np.array([0, 0, 1]), np.array([0.2, 0.2, 0.6])).round(2).tolist()
    [0.55, 0.3, 0.15]
    """
    return (np.bincount(label, minlength=len(prior)) + prior) / (len(label) + 1.0)


def reweighted(probability: Floats, ratio: Floats) -> Floats:
    """Probabilities of classes where these have other shares, rows sum to one, [n, K].

    Args:
        probability: where classes have the shares of the source, [n, K].
        ratio: of new shares to those, [K].
    """
    found = probability * ratio
    return np.asarray(found / found.sum(1, keepdims=True))


def class_probabilities(home: Codes, truth: Codes, prior: Floats) -> Floats:
    """Of every class that a model may say, the probabilities of labels in the source, [K, K].

    The shares of the source count as one more sample of each prediction.

    Args:
        home, truth: predictions and labels there, [m].
        prior: shares of classes there, above 0, [K].
    """
    given = _confusion(home, truth, len(prior)) + prior
    return np.asarray(given / given.sum(1, keepdims=True))


def calibrated(probability: Floats, truth: Codes) -> Callable[[Floats], Floats]:
    """What makes probabilities of a model honest, learned where labels are known.

    Temperature and a bias for each class, by likelihood with a small penalty (Alexandari, Kundaje &
    Shrikumar 2020, Maximum likelihood with bias-corrected calibration is hard-to-beat at label
    shift adaptation). Models that fit their training data well are too sure of themselves, and then
    no prior changes what they say.

    Args:
        probability: above 0, rows sum to one, [m, K].
        truth: the labels, [m].

    Returns:
        A function of probabilities [n, K] that gives others, [n, K].
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    known = np.eye(probability.shape[1])[truth]
    logs = np.log(probability)

    def loss(at: Floats) -> tuple[float, Floats]:
        scaled = np.exp(at[0]) * logs
        log = log_softmax(scaled + at[1:], axis=1)
        missed = np.exp(log) - known
        slope = np.concatenate([[(missed * scaled).sum()], missed.sum(0)])
        value = -(known * log).sum() + _RIDGE * (at**2).sum()
        return float(value), np.asarray(slope + 2.0 * _RIDGE * at)

    best = minimize(loss, np.zeros(1 + probability.shape[1]), jac=True).x
    return lambda others: np.asarray(softmax(np.exp(best[0]) * np.log(others) + best[1:], axis=1))


def _confusion(said: Codes, truth: Codes, count: int) -> Floats:
    """How many samples of each label (columns) the model says are of each class (rows), [K, K]."""
    found = np.zeros((count, count))
    np.add.at(found, (said, truth), 1.0)
    return found
