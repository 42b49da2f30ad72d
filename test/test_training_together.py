"""Processes that train one model together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from gsam_ros.training.together import Team, run_together

ROWS = torch.tensor([[1.0, 0.0], [0.0, 3.0]])


class TwoParts(nn.Module):
    """One part of which is used by the first process only."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shared, self.lone = nn.Linear(2, 1), nn.Linear(2, 1)

    def forward(self, rows: torch.Tensor, whole: bool) -> torch.Tensor:
        shared = self.shared(rows).square().mean()
        return shared + self.lone(rows).square().mean() if whole else shared


def _work(team: Team, folder: Path) -> None:
    model = TwoParts()
    model(ROWS[team.place : team.place + 1], team.leads).backward()
    team.average_gradients(list(model.parameters()))
    torch.save([p.grad for p in model.parameters()], folder / f"{team.place}.pt")


def _fail(team: Team) -> None:
    if not team.leads:
        raise ValueError("no such thing")
    team.wait()


def test_every_process_gets_the_mean_of_all_gradients(tmp_path: Path) -> None:
    run_together(2, _work, tmp_path)
    model = TwoParts()
    loss = model(ROWS[:1], True) + model(ROWS[1:], False)
    (loss / 2).backward()
    for place in (0, 1):
        gradients = torch.load(tmp_path / f"{place}.pt", weights_only=True)
        for mine, parameter in zip(gradients, model.parameters(), strict=True):
            torch.testing.assert_close(mine, parameter.grad)


def test_one_process_works_by_itself(tmp_path: Path) -> None:
    run_together(1, _work, tmp_path)
    assert (tmp_path / "0.pt").is_file()


def test_a_failure_in_one_process_ends_all_and_is_told() -> None:
    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match="no such thing"):
        run_together(2, _fail)
