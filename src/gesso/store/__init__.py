"""The run folder: safetensors and JSON, written atomically, never a pickle.

`HOME/runs/0007-NAME-FAMILY/` holds `run.json` (the record), `model.safetensors` (what draws), `state/` (what
resumes), `log.jsonl`, `samples/*.png` and `README.md`. Importing this package does not import torch.
"""

from gesso.store.fingerprint import compare_fingerprints, fingerprint
from gesso.store.record import PRETRAINED
from gesso.store.run import FORMAT, Run, State, list_runs
from gesso.store.tensors import check_tensors, load_tensors, save_tensors

__all__ = [
    "FORMAT",
    "PRETRAINED",
    "Run",
    "State",
    "check_tensors",
    "compare_fingerprints",
    "fingerprint",
    "list_runs",
    "load_tensors",
    "save_tensors",
]
