"""Smooth random fields as sums of plane waves: the same in the patient whatever grid they are looked at on."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Waves:
    """Independent fields of about unit variance. wave_vectors (fields, waves, 3) in rad/mm; phases (fields, waves)."""

    wave_vectors: np.ndarray
    phases: np.ndarray

    @classmethod
    def draw(
        cls, rng: np.random.Generator, fields: int, wavelengths_mm: tuple[float, float], waves: int = 8
    ) -> "Waves":
        """Directions uniform on the sphere, wavelengths log-uniform in the given range."""
        direction = rng.normal(size=(fields, waves, 3))
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        length = np.exp(rng.uniform(*np.log(wavelengths_mm), size=(fields, waves, 1)))
        return cls(2 * np.pi * direction / length, rng.uniform(0, 2 * np.pi, size=(fields, waves)))

    def at(self, points: torch.Tensor) -> torch.Tensor:
        """Fields (F, ...) at points (3, ...) mm."""
        vectors = torch.as_tensor(self.wave_vectors, dtype=points.dtype, device=points.device)
        phases = torch.as_tensor(self.phases, dtype=points.dtype, device=points.device)
        flat = points.reshape(3, -1)
        angle = torch.einsum("fwk,kn->fwn", vectors, flat) + phases[..., None]
        field = angle.sin().sum(dim=1) * (2 / phases.shape[1]) ** 0.5
        return field.reshape(len(phases), *points.shape[1:])
