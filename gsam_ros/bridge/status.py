"""What became of a frame, as gsam_ros/FrameStatus."""

from __future__ import annotations

from collections.abc import Sequence

from std_msgs.msg import Header

from gsam_ros.bridge.stamps import to_time
from gsam_ros.instances import FrameResult
from gsam_ros.msg import FrameStatus
from gsam_ros.pipeline.inbox import Arrival
from gsam_ros.pipeline.statistics import CameraStatistics
from gsam_ros.stages import Stage, since


def frame_status(
    header: Header,
    arrival: Arrival,
    result: FrameResult | None,
    stages: Sequence[Stage],
    statistics: CameraStatistics,
    now: int,
) -> FrameStatus:
    """The answer to one frame.

    Args:
        header: the image's own.
        arrival: the frame as it came in.
        result: what was found; None where the frame was dropped.
        stages: that it went through.
        statistics: of the frame's camera.
        now: nanoseconds on the node's clock, when the results left.
    """
    received, processed, drops = statistics.counts()
    own = since(stages, arrival.clock)
    late = result.late if result else None
    return FrameStatus(
        header=header,
        camera=arrival.camera,
        prompt_version=result.prompt.version if result and result.prompt else 0,
        keyframe=result.keyframe if result else False,
        instances=len(result.instances) if result else 0,
        received=to_time(arrival.received),
        published=to_time(now),
        age=(now - arrival.stamp) / 1e9,
        stage_names=[stage.name for stage in own],
        stage_begin_ms=[1e3 * stage.begin for stage in own],
        stage_end_ms=[1e3 * stage.end for stage in own],
        late_stamp=to_time(late.stamp if late else 0),
        late_detect_ms=late.detect_ms if late else 0.0,
        late_catch_up_ms=late.catch_up_ms if late else 0.0,
        frames_received=received,
        frames_processed=processed,
        drop_causes=list(drops),
        drop_counts=list(drops.values()),
    )
