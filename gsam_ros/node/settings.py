"""What users can tune of the node, besides the pipeline's own settings."""

from __future__ import annotations

from dataclasses import dataclass

from gsam_ros.settings import SettingError, check, setting


@dataclass(frozen=True)
class NodeSettings:
    """Cameras, prompt, flow control and health.

    Raises:
        SettingError: a value lies outside its range.
    """

    autostart: bool = setting(
        True, "Configure and activate at start; false where a lifecycle manager does it."
    )
    prompt: str = setting(
        "",
        'What to look for, phrases ended by dots: "red mug. person."; empty: wait for ~/prompt or '
        "~/set_prompt.",
        runtime=True,
    )
    prompts: tuple[str, ...] = setting(
        ("",),
        "Prompts of their own for cameras, in the order of `cameras`, such as ['red mug.', '']: "
        "where one is empty, and where there is only an empty one, cameras look for `prompt`.",
        runtime=True,
    )
    clicked_name: str = setting(
        "clicked", "What an object is called that was pointed at on ~/clicked_point.", runtime=True
    )
    cameras: tuple[str, ...] = setting(
        ("",),
        "Names of the cameras. Camera NAME subscribes NAME/image and publishes under ~/NAME; the "
        "one without a name subscribes image and publishes under ~.",
    )
    image_transport: str = setting(
        "raw",
        "What is subscribed: raw (sensor_msgs/Image on NAME/image) or compressed "
        "(sensor_msgs/CompressedImage on NAME/image/compressed).",
        choices=("raw", "compressed"),
    )
    image_transports: tuple[str, ...] = setting(
        ("",),
        "Transport of each camera, in the order of `cameras`, where they differ, such as [raw, "
        "compressed]; one empty name: image_transport for all.",
    )
    image_reliability: str = setting(
        "auto",
        "QoS of the image subscriptions: best_effort meets every publisher; auto takes it in live "
        "mode and reliable in lossless mode.",
        choices=("auto", "best_effort", "reliable"),
    )
    mode: str = setting(
        "live",
        "live: the newest frame wins, late ones are dropped and counted; lossless: every frame is "
        "answered, in order, with the same result each time (for recordings).",
        choices=("live", "lossless"),
    )
    queue_size: int = setting(
        64, "Frames that may wait in lossless mode; more are dropped and counted.", low=1, high=4096
    )
    result_depth: int = setting(
        10, "Results that the middleware keeps for a slow subscriber (QoS depth).", low=1, high=4096
    )
    depth: bool = setting(
        False,
        "Whether cameras have depth: subscribes NAME/depth (16UC1 in mm or 32FC1 in m, registered "
        "to the image) and NAME/camera_info, and publishes detections_3d and instance_cloud.",
    )
    depth_cameras: tuple[str, ...] = setting(
        ("",),
        "Names of the cameras that have depth, such as [front], where only some do; one empty "
        "name: depth applies to all cameras.",
    )
    depth_tolerance: float = setting(
        0.02,
        "Seconds by which the stamps of an image and of its depth image may differ.",
        low=0.0,
        high=1.0,
    )
    topic_timeout: float = setting(
        5.0,
        "Seconds without an image after which a camera counts as silent: a warning in "
        "/diagnostics.",
        low=0.1,
        high=3600.0,
        runtime=True,
    )
    topic_error: float = setting(
        60.0,
        "Seconds without an image after which that is an error in /diagnostics.",
        low=0.1,
        high=86400.0,
        runtime=True,
    )
    age_warning: float = setting(
        1.0,
        "Seconds from a frame's stamp to its results; more is a warning in /diagnostics.",
        low=0.0,
        high=3600.0,
        runtime=True,
    )
    age_error: float = setting(
        10.0,
        "Seconds from a frame's stamp to its results; more is an error in /diagnostics.",
        low=0.0,
        high=3600.0,
        runtime=True,
    )

    def __post_init__(self) -> None:
        check(self)

    def transport(self, camera: str) -> str:
        """What is subscribed for a camera, raw or compressed.

        Raises:
            SettingError: `image_transports` does not say it of every camera.
        """
        if not any(self.image_transports):
            return self.image_transport
        given = self.image_transports
        if len(given) != len(self.cameras) or not set(given) <= {"raw", "compressed"}:
            raise SettingError(
                f"image_transports is {list(given)} for {len(self.cameras)} cameras: give raw or "
                "compressed for each, in the order of cameras"
            )
        return given[self.cameras.index(camera)]

    def has_depth(self, camera: str) -> bool:
        """Whether a camera has depth.

        Raises:
            SettingError: `depth_cameras` names one that isn't there.
        """
        if not any(self.depth_cameras):
            return self.depth
        for name in self.depth_cameras:
            if name not in self.cameras:
                raise SettingError(
                    f"depth_cameras names {name!r}: give names of cameras, which are "
                    f"{', '.join(map(repr, self.cameras))}"
                )
        return camera in self.depth_cameras

    def own_prompts(self) -> dict[str, str]:
        """The prompt of its own of each camera that has a name; empty where there is none.

        Raises:
            SettingError: `prompts` does not say it of every camera, or of one without a name.
        """
        if not any(self.prompts):
            return {name: "" for name in self.cameras if name}
        if len(self.prompts) != len(self.cameras):
            raise SettingError(
                f"prompts has {len(self.prompts)} entries for {len(self.cameras)} cameras: give "
                "one for each, in the order of cameras, empty where it looks for `prompt`"
            )
        own = dict(zip(self.cameras, self.prompts, strict=True))
        if own.pop("", ""):
            raise SettingError(
                "prompts has one for the camera without a name, which can't have its own: give it "
                "a name in cameras, or use prompt"
            )
        return own
