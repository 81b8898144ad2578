"""The GPU's packed attention: the same log-probabilities and gradients as separate rows, in the trainer as it is used."""

from __future__ import annotations

import pytest
import torch

from tests.alignment.ranked.families import FAMILIES, make_forest, tiny_model

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


def logps_and_gradients(model, path: str):
    from alignment.ranked.scoring import score, using

    model.zero_grad()
    with using(model, path):
        logps = score(model, make_forest(), path, config=model.config.get_text_config(), device=torch.device("cuda"),
                      budget=40).logps
        logps.sin().sum().backward()
    return logps.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("family", FAMILIES)
def test_flex_attention_gives_the_numbers_of_separate_rows(family):
    model = tiny_model(family, dtype=torch.float32).to("cuda")
    expected, gradient = logps_and_gradients(model, "rows")
    found, own = logps_and_gradients(model, "flex")
    assert (found - expected).abs().max() < 1e-3
    assert torch.cosine_similarity(own, gradient, dim=0) > 0.9999


def test_a_gpu_trains_by_flex_attention():
    from alignment.ranked.settings import RankedConfig
    from alignment.ranked.support import choose

    model = tiny_model("llama", dtype=torch.bfloat16).to("cuda")
    assert choose(model, RankedConfig(), device=torch.device("cuda")).path == "flex"
