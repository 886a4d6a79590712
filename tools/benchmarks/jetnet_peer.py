"""JetNet's scores, timed. Run by ``pcgen bench`` with the Python of an environment that has it.

jetnet 0.2.5 imports with packages older than pcgen's, so this file stands alone: NumPy and jetnet.
Usage: python jetnet_peer.py FOLDER, with real.npy and generated.npy [B, n, 3] (eta, phi, pt); it
prints one JSON object: seconds and value of each step.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from typing import Any

import numpy as np


def main(folder: str) -> None:
    """Time each step on the jets in the folder."""
    warnings.simplefilter("ignore")
    from jetnet import utils
    from jetnet.evaluation import gen_metrics

    jets = [np.load(f"{folder}/{name}.npy", allow_pickle=False) for name in ("real", "generated")]
    number, jobs = min(50_000, len(jets[0])), len(os.sched_getaffinity(0))
    steps: dict[str, tuple[float, float]] = {}

    def timed(name: str, function: Any, *arguments: Any, **options: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments, **options)
        value = float(np.mean(result[0] if isinstance(result, tuple) else result))
        steps[name] = (time.perf_counter() - start, value)
        print(name, *steps[name], file=sys.stderr, flush=True)
        return result

    def polynomials() -> list[Any]:
        return [utils.efps(side, efpset_args=[("d<=", 4)], efp_jobs=jobs) for side in jets]

    features = timed("EFP, 36 of both sets", polynomials)
    timed("W1M", gen_metrics.w1m, *jets, num_eval_samples=number)
    timed("W1P", gen_metrics.w1p, *jets, num_eval_samples=number)
    timed("W1EFP", gen_metrics.w1efp, *jets, num_eval_samples=number, efp_jobs=jobs)
    least, batch = number * 2 // 5, number // 10
    timed("FPD", gen_metrics.fpd, *features, min_samples=least, max_samples=number)
    timed("KPD", gen_metrics.kpd, *features, batch_size=batch)
    timed("observables", lambda: [utils.jet_features(side)["mass"] for side in jets])
    print(json.dumps(steps))


if __name__ == "__main__":
    main(sys.argv[1])
