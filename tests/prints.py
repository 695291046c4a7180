"""Pictures with the ridges, background and noise of a fingerprint, for tests, which may not hold real ones."""

import numpy as np
from numpy.typing import NDArray


def ridges(height: int, width: int, *, seed: int = 0, noise: float = 6) -> NDArray[np.uint8]:
    """uint8 (height, width): curved ridges about nine pixels apart inside an ellipse, on a light background."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    bend = random.uniform(20, 60)
    phase = 0.7 * np.hypot(y - height * 0.6, x - width / 2) + np.sin(x / bend) * 2 + y / bend
    inside = np.clip(4 * (1 - np.hypot(2 * y / height - 1, 2 * x / width - 1)), 0, 1)
    grey = 225 - inside * (105 + 85 * np.sin(phase)) + random.normal(0, noise, (height, width))
    return np.clip(grey, 0, 255).astype(np.uint8)
