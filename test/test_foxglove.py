"""The Foxglove layout: whole, and of the topics, fields and services that the node has."""

from __future__ import annotations

from pathlib import Path

import foxglove_layout
import pytest
from node_harness import World

from gsam_ros.replay.ros_session import message_class


def test_every_panel_has_its_place_and_every_place_its_panel() -> None:
    layout = foxglove_layout.load()
    places = list(foxglove_layout.placed(layout["layout"]))
    assert sorted(places) == sorted(layout["configById"])
    assert len(set(places)) == len(places)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("foxglove")


def test_what_it_shows_and_calls_is_there_in_the_running_node(folder: Path) -> None:
    layout, world = foxglove_layout.load(), World(folder)
    with world.client() as client, world.gsam_node(device="cpu", depth=True):
        client.wait_for_state("active")
        node = client.node
        types = lambda: dict(node.get_topic_names_and_types())  # noqa: E731
        client.wait(lambda: node.count_publishers("/gsam_node/instance_cloud"), "the last topic")
        for path in foxglove_layout.paths(layout):
            topic, names = foxglove_layout.fields(path)
            assert node.count_publishers(topic) == 1, f"nobody publishes {topic}"
            [kind] = types()[topic]
            message = message_class(kind)
            for name in names:
                assert name in message.get_fields_and_field_types(), f"{kind} has no {name}"
        calls = foxglove_layout.services(layout)
        assert calls
        for service, request in calls.items():
            [kind] = dict(node.get_service_names_and_types())[service]
            assert kind == "gsam_ros/srv/SetPrompt"
            assert client.set_prompt(**request).success
        name = layout["configById"]["DiagnosticStatusPanel!camera"]["selectedName"]
        status = client.health(name.removeprefix("gsam_node: "), lambda s: True)
        panel = layout["configById"]["DiagnosticStatusPanel!camera"]
        assert status.hardware_id == panel["selectedHardwareId"]
