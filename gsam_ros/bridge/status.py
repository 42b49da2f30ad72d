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
    stages = stage_ms | (_late(result) if result else {})
    return FrameStatus(
        header=header,
        camera=arrival.camera,
        prompt_version=result.prompt.version if result and result.prompt else 0,
        keyframe=result.keyframe if result else False,
        instances=len(result.instances) if result else 0,
        received=to_time(arrival.received),
        published=to_time(now),
        age=(now - arrival.stamp) / 1e9,
        stage_names=list(stages),
        stage_ms=[float(ms) for ms in stages.values()],
        frames_received=received,
        frames_processed=processed,
        drop_causes=list(drops),
        drop_counts=list(drops.values()),
    )


def _late(result: FrameResult) -> dict[str, float]:
    """What tells of a detection that was made beside, where this frame is the first to have it.

    detect_beside is how long it took and catch_up_beside how long it took to work it in, in part
    while no frame was there: neither adds to this frame's stages. detection_late is by how much the
    frame that the detector looked at is older than this one: its stamp is this one's less that; 0
    where the detector was faster than the masks.
    """
    late = result.late
    if not late:
        return {}
    return {
        "detect_beside": late.detect_ms,
        "catch_up_beside": late.catch_up_ms,
        "detection_late": (result.frame.stamp - late.stamp) / 1e6,
    }
