"""What the organ looks like in this CT, learned from the corrected planes: the odds of its CT numbers."""

import numpy as np

WINDOW_HU = (-200.0, 400.0)
BIN_HU = 12.0
RING_MM = 12.0
LEAST_VOXELS = 60
STRONGEST = 2.5  # log odds
_SMOOTHING = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def log_odds(hu: np.ndarray, distance_mm: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Log odds (float32) that a voxel is of the organ, from its CT number alone; zero where too little was corrected.

    All arrays (z, y, x). hu: smoothed CT. distance_mm: signed distance from the edited outlines. voxels: which of them
    are corrected.
    """
    inside = hu[voxels & (distance_mm < -1.0)]
    around = hu[voxels & (distance_mm > 1.0) & (distance_mm < RING_MM)]
    if min(inside.size, around.size) < LEAST_VOXELS:
        return np.zeros(hu.shape, dtype=np.float32)
    bins = np.arange(WINDOW_HU[0], WINDOW_HU[1] + BIN_HU, BIN_HU)
    shares = []
    for values in (inside, around):
        counts = np.histogram(values.clip(*WINDOW_HU), bins)[0].astype(float)
        counts = np.convolve(np.pad(counts, 2, mode="edge"), _SMOOTHING, mode="valid")
        shares.append(counts / counts.sum() + 0.01)
    odds = np.log(shares[0] / shares[1]).clip(-STRONGEST, STRONGEST)
    centres = (bins[1:] + bins[:-1]) / 2
    return np.interp(hu, centres, odds).astype(np.float32)
