"""What the tests share: golden files, the oracle, and the running of a file of tests."""
import importlib
import json
import struct
import sys
import unittest
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FILES = sorted(GOLDEN.glob("*.safetensors"))
sys.path.insert(0, str(GOLDEN))


def main(*modules: str) -> None:
    """Runs the tests of the calling file; exit code 77, with the reason, where a module is not installed."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError:
            print(f"skipped: {name} is not installed (Debian: python3-{name}; elsewhere: pip install {name})")
            sys.exit(77)
    unittest.main(verbosity=2)


class Golden:
    """One golden file: tensors as float32 or int32 numpy arrays (bf16 values are exact in float32), settings as numbers."""

    def __init__(self, path: Path):
        import numpy as np
        data = path.read_bytes()
        size, = struct.unpack("<Q", data[:8])
        header = json.loads(data[8:8 + size])
        meta = header.pop("__metadata__")
        self.name = path.stem
        self.settings = {k: (float(v) if k == "scale" else int(v)) for k, v in meta.items() if k != "name"}
        self.tensors = {}
        for name, entry in header.items():
            first, last = (8 + size + o for o in entry["data_offsets"])
            kind = {"BF16": np.uint16, "F32": np.float32, "I32": np.int32}[entry["dtype"]]
            array = np.frombuffer(data[first:last], kind).reshape(entry["shape"])
            if entry["dtype"] == "BF16":
                array = (array.astype(np.uint32) << 16).view(np.float32)
            self.tensors[name] = array.copy()

    def __getitem__(self, name):
        return self.tensors[name]


def relative_error(got, expected) -> float:
    import numpy as np
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    return float(np.linalg.norm(got - expected) / max(np.linalg.norm(expected), 1e-30))


def lse_error(got, expected) -> float:
    """Absolute, relative to max(1, |lse|); rows without keys have to agree exactly."""
    import numpy as np
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    if not np.array_equal(np.isneginf(got), np.isneginf(expected)):
        return float("inf")
    seen = ~np.isneginf(expected)
    return float(np.max(np.abs(got - expected)[seen] / np.maximum(1, np.abs(expected[seen])), initial=0))


def small_problem(dtype: str = "f32") -> dict:
    """The problem of small_inputs()."""
    return {"dtype": dtype, "head_dim": 64, "head_dim_v": 64, "heads_q": 4, "heads_kv": 2, "block_size": 32, "topk": 4, "num_seqs": 1,
            "total_q": 96, "total_k": 96}


def small_inputs(seed: int = 1) -> dict:
    """Inputs of selected attention: q [96, 4, 64], k and v [96, 2, 64], block_indices [2, 96, 4], float32 and int32."""
    import numpy as np
    rng = np.random.default_rng(seed)
    blocks = np.full((2, 96, 4), -1, np.int32)
    for head in range(2):
        for token in range(96):
            own = token // 32
            chosen = rng.permutation(own + 1)[:rng.integers(1, 4)]
            blocks[head, token, :len(chosen)] = chosen
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    return {"q": normal(96, 4, 64), "k": normal(96, 2, 64), "v": normal(96, 2, 64), "block_indices": blocks}


def oracle(q, k, v, block_indices, block_size, cu_q=None, cu_k=None, scale=None):
    """Selected attention in float64: (o, lse)."""
    import nsa_reference as ref
    import numpy as np
    cu_q = [0, len(q)] if cu_q is None else cu_q
    cu_k = [0, len(k)] if cu_k is None else cu_k
    scale = 1 / np.sqrt(q.shape[2]) if scale is None else scale
    return ref.masked_attention(*(np.asarray(t, np.float64) for t in (q, k, v)), cu_q, cu_k, scale,
                                ref.selected_mask(np.asarray(block_indices), block_size))
