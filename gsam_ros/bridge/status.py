"""What became of a frame, as gsam_ros/FrameStatus."""

from __future__ import annotations

from std_msgs.msg import Header

from gsam_ros.bridge.stamps import to_time
from gsam_ros.instances import FrameResult
from gsam_ros.msg import FrameStatus
from gsam_ros.pipeline.inbox import Arrival
from gsam_ros.pipeline.statistics import CameraStatistics


def frame_status(
    header: Header,
    arrival: Arrival,
    result: FrameResult | None,
    stage_ms: dict[str, float],
    statistics: CameraStatistics,
    now: int,
) -> FrameStatus:
    """The answer to one frame.

    Args:
        header: the image's own.
        arrival: the frame as it came in.
        result: what was found; None where the frame was dropped.
        stage_ms: milliseconds by stage, in their order.
        statistics: of the frame's camera.
        now: nanoseconds on the node's clock, when the results left.
    """
    received, processed, drops = statistics.counts()
    return FrameStatus(
        header=header,
        camera=arrival.camera,
        prompt_version=result.prompt.version if result and result.prompt else 0,
        keyframe=result.keyframe if result else False,
        instances=len(result.instances) if result else 0,
        received=to_time(arrival.received),
        published=to_time(now),
        age=(now - arrival.stamp) / 1e9,
        stage_names=list(stage_ms),
        stage_ms=[float(ms) for ms in stage_ms.values()],
        frames_received=received,
        frames_processed=processed,
        drop_causes=list(drops),
        drop_counts=list(drops.values()),
    )
