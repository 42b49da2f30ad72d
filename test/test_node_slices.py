"""Sliced inference in the running node, by its parameters."""

from __future__ import annotations

import numpy as np
import pytest
from node_harness import World, picture

from gsam_ros.world.stills import draw_still
from gsam_ros.world.vocabulary import phrase_of

STATUS = "/gsam_node/frame_status"
PAIR = ("red", "mug")


def test_slices_are_switched_on_while_the_node_runs(tmp_path_factory: pytest.TempPathFactory):
    rng = np.random.default_rng(0)
    still = draw_still(rng, 720, 960, [PAIR], max_objects=40, share=(12 / 720, 40 / 720))
    world = World(tmp_path_factory.mktemp("slices"))
    options = {"mode": "lossless", "device": "cpu", "detector__slices__width": 5000}
    options["detector__devices"] = ["cpu", "cpu"]
    with world.client() as client, world.gsam_node(**options):
        client.listen_to_results()
        client.wait_for_state("active")
        client.set_prompt(phrase_of(PAIR))

        def instances(second: int) -> int:
            client.show(picture(second, still.image))
            return client.wait_for(STATUS, second)[-1].instances

        whole = instances(1)
        for name, value in (("overlap", 1.0), ("mode", "on"), ("merge", "LSNMS")):
            refused = client.set_parameter(f"detector.slices.{name}", value)
            assert not refused.successful
            assert "detector.slices" in refused.reason
        assert client.set_parameter("detector.slices.mode", "always").successful
        instances(2)
        client.wait_for_log("its tiles get 960, the most that can be given")
        assert client.set_parameter("detector.slices.width", 256).successful
        assert instances(3) >= whole + 5
