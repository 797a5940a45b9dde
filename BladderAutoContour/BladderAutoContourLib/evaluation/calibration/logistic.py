"""Logistic regression with a prior: Newton's method, for a handful of numbers."""

import numpy as np

ITERATIONS = 50


def fit_logistic(design: np.ndarray, happened: np.ndarray, centre: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Weights (k,) that maximise likelihood and prior of `happened` (n,) 0 or 1, given `design` (n, k).

    The prior is Gaussian about `centre` (k,), with `precision` (k, k).
    """
    weights = centre.astype(float)
    for _ in range(ITERATIONS):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (p - happened) + precision @ (weights - centre)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + precision
        weights = weights - np.linalg.solve(hessian, gradient)
    return weights
