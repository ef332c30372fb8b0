"""Outputs of the published code of GeoSpOT, in the names, arrays and columns that it writes."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

PLACES = {0: (59.9, 10.7), 5: (60.2, 25.0), 12: (-1.3, 36.8), 57: (0.3, 32.6)}
"""Latitude and longitude of the points of each domain, by its number."""
EACH = 10
CONFIG = "method_sinkhorn_reg_0.01_iter_1000_metric_cosine_norm_max_per_domain"


def points() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices, domains and coordinates (latitude first) of all points."""
    generator = np.random.default_rng(0)
    domains = np.repeat(list(PLACES), EACH)
    coords = np.concatenate([generator.normal(place, 0.5, (EACH, 2)) for place in PLACES.values()])
    return np.arange(len(domains)) * 3, domains, coords.astype(np.float32)


def write_arrays(root: Path) -> None:
    """Embeddings of two models, of which one knows where points are; and tensors of the other."""
    folder = root / "embeddings"
    folder.mkdir(parents=True, exist_ok=True)
    indices, domains, coords = points()
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, len(indices))
    common: dict[str, Any] = {"labels": labels, "indices": indices, "domains": domains}
    vectors = {name: _vectors(domains, size, generator) for name, size in (("bert", 6), ("geo", 4))}
    path = folder / "geoyfcc_text_train_bert_singlelabel.npz"
    np.savez_compressed(path, embeddings=vectors["bert"], **common)
    path = folder / "geoyfcc_text_train_geoclip.npz"
    np.savez_compressed(path, embeddings=vectors["geo"], coords=coords, **common)
    torch.save(torch.from_numpy(vectors["bert"]).float(), folder / "bert.pt")


def _vectors(domains: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    centres = {domain: generator.normal(size=size) for domain in PLACES}
    noise = 0.1 * generator.normal(size=(len(domains), size))
    return (np.stack([centres[domain] for domain in domains]) + noise).astype(np.float32)


def write_domains(root: Path) -> None:
    """Tensors of each domain, as of the images of FMoW."""
    folder = root / "resnet50" / "test"
    folder.mkdir(parents=True)
    for domain in (0, 1):
        matrix = torch.full((3 + domain, 5), float(domain))
        torch.save(matrix, folder / f"embeddings_test_domain{domain}.pt")


def write_distances(root: Path) -> None:
    """Distances of single domains in two spaces, and of mixtures and unions."""
    folder = root / "distances" / "ot_distance"
    folder.mkdir(parents=True)
    for target, space in product(PLACES, ("bert", "geodesic")):
        others = [domain for domain in PLACES if domain != target]
        rows = [
            _distance(space, target, [other], abs(other - target) / 100 + 0.001 * other)
            for other in others
        ]
        name = f"distances_source{target}_k1_{space}_all_combinations_{CONFIG}.csv"
        pd.DataFrame(rows).to_csv(folder / name, index=False)
    union = _distance("bert", 57, [5, 12], 0.25) | {"tgt_domain_2_idx": 12, "selection_step": 2}
    union["greedy_sequential"] = True
    name = f"distances_source57_k2_bert_greedy_{CONFIG}.csv"
    pd.DataFrame([union]).to_csv(folder / name, index=False)
    grid = folder / "lambda_0.3"
    grid.mkdir()
    for space in ("bert+geodesic", "satclip_L10+geodesic", "satclip_L10+bert"):
        name = f"distances_source0_k1_{space}_all_combinations_{CONFIG}.csv"
        pd.DataFrame([_distance(space, 0, [5], 0.5)]).to_csv(grid / name, index=False)


def _distance(space: str, target: int, sources: list[int], value: float) -> dict[str, object]:
    return {
        "embedding_type": space,
        "src_domain_idx": target,
        "k": len(sources),
        "distance": value,
        "tgt_domain_1_idx": sources[0],
        "tgt_domains_combined": "+".join(map(str, sources)),
        "greedy_sequential": False,
    }


def write_scores(root: Path) -> None:
    """Accuracies of models between domains over two seeds, and of two choices."""
    folder = root / "2_zeroshot_eval" / "bert_singlelabel" / "csv"
    folder.mkdir(parents=True)
    task = "zeroshot_eval_countries_bert_singlelabel_domains"
    for source, target in product(PLACES, PLACES):
        score = 0.8 - abs(source - target) / 150
        _seeds(folder / f"{task}_src{source}_tgt{target}.csv", "model_seed", score)
    (folder / f"{task}_src0_tgt5.pkl").write_bytes(b"pickle")
    choice = "zeroshot_eval_subset_countries_bert_singlelabel_subset"
    for name, score in (("B2000_K2_ot_bert", 0.7), ("B2000_K2_random", 0.6)):
        _seeds(folder / f"{choice}_{name}_tgt57.csv", "model_data_seed", score)
    (folder / "summary.csv").write_text("timestamp,acc\nnow,0.5\n")


def _seeds(path: Path, seed: str, score: float) -> None:
    accuracies = {"test_acc": [score - 0.01, score + 0.01], "test_top3_acc": score}
    pd.DataFrame({seed: [48329, 17046], **accuracies}).to_csv(path, index=False)
