"""One program that solves CRF problems, as a process of its own: the engine's CRF-RNN, its other route, or pydensecrf.

    python -m BladderAutoContourLib.evaluation.peers.crf_worker METHOD PROBLEM.npz...

Every line on standard input is the number of a problem to solve, set-up included, and is answered as
`measured_program` says; the probability of label 1 is then in PROBLEM.METHOD.npy.

pydensecrf is no package of this program: the benchmark gives it an environment of its own, where nothing of this
program is imported but this file and what needs the standard library alone.
"""

import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ... import host
from .measured_program import answer

Solve = Callable[[np.ndarray, np.ndarray, dict[str, Any], tuple[float, float, float]], np.ndarray]


def crf_rnn(cosine_reach: float | None = None) -> Solve:
    """The engine's layer, in torch; with the appearance kernel as a cosine series of this reach where one is given."""
    import torch

    from ...networks.crf_rnn import CrfRnn
    from ...networks.plan import CrfPlan
    from .cosine_series import CosineCrfRnn

    torch.set_num_threads(host.available_cores())

    def solve(hu: np.ndarray, logits: np.ndarray, plan: dict[str, Any], spacing_mm: tuple) -> np.ndarray:
        crf = CrfRnn(CrfPlan(**plan)) if cosine_reach is None else CosineCrfRnn(CrfPlan(**plan), cosine_reach)
        with torch.inference_mode():
            refined = crf(torch.from_numpy(logits)[None], torch.from_numpy(hu)[None], spacing_mm)
            return refined.softmax(dim=1)[0, 1].numpy()

    return solve


def pydensecrf() -> Solve:
    """Its authors' C++ lattice (PyPI pydensecrf2), with the same energy: each message a mean over its kernel."""
    dense = importlib.import_module("pydensecrf.densecrf")

    def solve(hu: np.ndarray, logits: np.ndarray, plan: dict[str, Any], spacing_mm: tuple) -> np.ndarray:
        places = np.indices(hu.shape, dtype=np.float32)[::-1].reshape(3, -1)
        places_mm = places * np.array(spacing_mm, np.float32)[:, None]

        def positions(theta_mm: tuple) -> np.ndarray:
            return places_mm / np.array(theta_mm, np.float32)[:, None]

        intensity = hu.clip(*plan["window_hu"]).reshape(1, -1) / np.float32(plan["theta_beta_hu"])
        field = dense.DenseCRF(hu.size, len(logits))
        field.setUnaryEnergy(np.ascontiguousarray(-logits.reshape(len(logits), -1)))
        for features, weight in (
            (positions(plan["theta_gamma_mm"]), plan["spatial_weight"]),
            (np.concatenate((positions(plan["theta_alpha_mm"]), intensity)), plan["bilateral_weight"]),
        ):
            field.addPairwiseEnergy(
                np.ascontiguousarray(features),
                compat=weight,
                kernel=dense.DIAG_KERNEL,
                normalization=dense.NORMALIZE_AFTER,
            )
        return np.array(field.inference(plan["iterations"]))[1].reshape(hu.shape)

    return solve


OURS, PEER = "crf-rnn", "pydensecrf"
COSINES = {f"cosine {reach}": reach for reach in (2.0, 2.5, 3.0)}
"""Names and reaches (sigmas) of the cosine series that are measured."""
METHODS: dict[str, Callable[[], Solve]] = {
    OURS: crf_rnn,
    PEER: pydensecrf,
    **{name: partial(crf_rnn, reach) for name, reach in COSINES.items()},
}


def main(method: str, *files: str) -> int:
    """Solve the problems of `files` as standard input asks."""
    solve = METHODS[method]()
    problems = [_read(Path(file)) for file in files]

    def keep(number: int, probability: np.ndarray) -> None:
        np.save(Path(files[number]).with_suffix(f".{method}.npy"), probability)

    answer(lambda number: solve(*problems[number]), keep)
    return 0


def _read(file: Path) -> tuple[np.ndarray, np.ndarray, dict[str, Any], tuple[float, ...]]:
    with np.load(file) as content:
        plan, spacing_mm = json.loads(str(content["plan"])), tuple(map(float, content["spacing_mm"]))
        return content["hu"], content["logits"], plan, spacing_mm


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
