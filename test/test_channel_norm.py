"""Layer norm over channels, a map at a time."""

import pytest
import torch
from torch import nn

from gsam_ros.tracking.segmenters.channel_norm import MOST_CHANNELS, ChannelNorm, replace_norms


@pytest.mark.parametrize("channels", [1, 4, 16])
def test_it_is_torchs(channels: int) -> None:
    torch.manual_seed(channels)
    norm = nn.LayerNorm(channels, eps=1e-6)
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    x = 5 * torch.randn(3, channels, 8, 12) + 2
    before = x.clone()
    expected = norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(ChannelNorm(norm)(x), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(x, before), "what it is given stays"


def test_only_layers_with_few_channels_get_it() -> None:
    layers = nn.ModuleList()
    for channels in (4, MOST_CHANNELS, 4 * MOST_CHANNELS):
        layer = nn.Module()
        layer.conv, layer.layer_norm = nn.Conv2d(1, channels, 3), nn.LayerNorm(channels)
        layers.append(layer)
    names = set(layers.state_dict())
    replace_norms(layers)
    assert [isinstance(layer.layer_norm, ChannelNorm) for layer in layers] == [True, True, False]
    assert set(layers.state_dict()) == names, "weights keep their names"
