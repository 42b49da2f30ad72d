"""Our figures against the libraries' own programs on the same files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trackeval
from evaluation_cases import HEIGHT, WIDTH
from evaluation_runs import STEP
from faster_coco_eval import COCO, COCOeval_faster
from pycocotools import coco as reference_coco
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval
from trackeval.metrics import JAndF

from gsam_ros.evaluation.metrics.j_and_f import score_masks
from gsam_ros.evaluation.metrics.recall_at import recall_at
from gsam_ros.evaluation.objects import FrameObjects
from gsam_ros.evaluation.run_results import CameraResults, RunResults
from gsam_ros.evaluation.run_score import RunScore, score_results
from gsam_ros.evaluation.truths import load_truth

PHRASES = ("mug", "ball", "box")
FRAMES = 30


def ellipse(box: np.ndarray) -> dict:
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    left, top, right, bottom = box
    inside = ((x - (left + right) / 2) / max(right - left, 1)) ** 2
    inside += ((y - (top + bottom) / 2) / max(bottom - top, 1)) ** 2
    encoded = coco_mask.encode(np.asfortranarray(inside <= 0.25, np.uint8))
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode("ascii")}


class Scene:
    """Objects that wander, and answers that lose, swap and imagine some; boxes around masks.

    Attributes:
        truth: frames of (id, phrase, box, mask).
        answers: frames of (id, phrase, box, mask, score).
    """

    def __init__(self, seed: int, phrases: tuple[str, ...] = PHRASES) -> None:
        rng = np.random.default_rng(seed)
        place = rng.uniform(8, 40, (5, 2))
        size = rng.uniform(5, 18, (5, 2))
        speed = rng.uniform(-1, 1, (5, 2))
        names = [phrases[i % len(phrases)] for i in range(5)]
        ids = np.arange(11, 16)
        self.truth, self.answers = [], []
        for t in range(FRAMES):
            place = np.clip(place + speed, 2, (WIDTH - 3, HEIGHT - 3))
            if rng.random() < 0.1 or t == 12:
                ids[rng.integers(5)] = ids.max() + 1
            found, answered = [], []
            for i in range(5):
                if rng.random() < 0.9:
                    found.append((i + 1, names[i], *self._object(place[i], size[i])))
                if rng.random() < 0.85:
                    moved = place[i] + rng.normal(0, 1, 2), size[i] * rng.uniform(0.8, 1.2, 2)
                    score = float(np.float32(rng.uniform(0.3, 1)))
                    answered.append((int(ids[i]), names[i], *self._object(*moved), score))
            if rng.random() < 0.3:
                ghost = self._object(rng.uniform(8, 40, 2), rng.uniform(5, 18, 2))
                answered.append((99, phrases[0], *ghost, float(np.float32(rng.uniform(0.3, 0.7)))))
            self.truth.append(found)
            self.answers.append(answered)

    @staticmethod
    def _object(place: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, dict]:
        mask = ellipse(np.concatenate([place - size / 2, place + size / 2]))
        box = coco_mask.toBbox(mask)
        box[2:] += box[:2]
        return box, mask

    def run(self, phrases: tuple[str, ...] = PHRASES) -> RunResults:
        answers = tuple(
            FrameObjects(
                "",
                t * STEP,
                np.array([a[0] for a in found], np.int64),
                tuple(a[1] for a in found),
                np.array([a[4] for a in found], np.float32),
                np.array([a[2] for a in found], np.float32).reshape(-1, 4),
                tuple(a[3] for a in found),
                np.full(len(found), 2, np.uint8),
                1,
            )
            for t, found in enumerate(self.answers)
        )
        stamps = tuple(t * STEP for t in range(FRAMES))
        camera = CameraResults("", stamps, stamps, answers, (), {}, (HEIGHT, WIDTH))
        return RunResults(Path("run"), (camera,), {1: phrases}, 1.0, ())

    def truth_as_coco(self) -> dict:
        images = [
            {"id": t + 1, "height": HEIGHT, "width": WIDTH, "stamp_ns": t * STEP}
            for t in range(FRAMES)
        ]
        annotations = [
            {
                "id": 1000 * t + i + 1,
                "image_id": t + 1,
                "category_id": 1 + PHRASES.index(phrase),
                "track_id": track,
                "bbox": [*box[:2], *(box[2:] - box[:2])],
                "segmentation": mask,
                "area": float(coco_mask.area(mask)),
                "iscrowd": 0,
            }
            for t, found in enumerate(self.truth)
            for i, (track, phrase, box, mask) in enumerate(found)
        ]
        categories = [{"id": i + 1, "name": name} for i, name in enumerate(PHRASES)]
        return {"images": images, "annotations": annotations, "categories": categories}

    def answers_as_coco(self) -> list[dict]:
        return [
            {
                "image_id": t + 1,
                "category_id": 1 + PHRASES.index(phrase),
                "bbox": [*box[:2], *(box[2:] - box[:2])],
                "segmentation": mask,
                "score": score,
            }
            for t, found in enumerate(self.answers)
            for _, phrase, box, mask, score in found
        ]


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_faster_coco_eval_s_and_pycocotools_on_the_file(
    seed: int, tmp_path: Path
) -> None:
    scene = Scene(seed)
    truth, answers = tmp_path / "truth.json", tmp_path / "answers.json"
    truth.write_text(json.dumps(scene.truth_as_coco()))
    answers.write_text(json.dumps(scene.answers_as_coco()))
    results = scene.run()
    detection = score_results(results, load_truth([str(truth)], results)).detection
    for ours, kind in ((detection.boxes, "bbox"), (detection.masks, "segm")):
        reference = COCO(str(truth))
        evaluation = COCOeval_faster(reference, reference.loadRes(str(answers)), kind)
        evaluation.run()
        told = evaluation.stats_as_dict
        own = {"AP_all": ours.ap, "AP_50": ours.ap50, "AP_75": ours.ap75}
        own |= {f"AP_{size}": value for size, value in ours.sizes.items()}
        for name, value in own.items():
            assert np.nan_to_num(value, nan=-1) == pytest.approx(told[name], abs=1e-12), name
        slow = reference_coco.COCO(str(truth))
        peer = COCOeval(slow, slow.loadRes(str(answers)), kind)
        peer.evaluate()
        peer.accumulate()
        peer.summarize()
        assert (ours.ap, ours.ap50, ours.ap75) == pytest.approx(tuple(peer.stats[:3]))
        for k, phrase in enumerate(PHRASES):
            per_phrase = peer.eval["precision"][:, :, k, 0, -1]
            found = per_phrase[0].mean(), per_phrase.mean()
            assert ours.phrases[phrase] == pytest.approx(found)


def tracked_by_trackeval(folder: Path, scene: Scene) -> dict:
    """The program's own figures, out of files in MOTChallenge's layout."""

    def rows(frames: list, tail: str) -> str:
        lines = []
        for t, found in enumerate(frames, 1):
            for entry in found:
                left, top, right, bottom = entry[2]
                score = f"{entry[4]},{tail}" if len(entry) > 4 else f"1,{tail}"
                box = f"{left + 1},{top + 1},{right - left},{bottom - top}"
                lines.append(f"{t},{entry[0]},{box},{score}")
        return "\n".join(lines) + "\n"

    gt = folder / "gt" / "MOT17-train" / "S" / "gt"
    tracker = folder / "trackers" / "MOT17-train" / "ours" / "data"
    gt.mkdir(parents=True)
    tracker.mkdir(parents=True)
    (gt / "gt.txt").write_text(rows(scene.truth, "1,1"))
    (tracker / "S.txt").write_text(rows(scene.answers, "-1,-1,-1"))
    quiet = {"PRINT_CONFIG": False, "PRINT_RESULTS": False, "TIME_PROGRESS": False}
    writes = {"OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "PLOT_CURVES": False}
    evaluator = trackeval.Evaluator({**quiet, **writes, "USE_PARALLEL": False})
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "PRINT_CONFIG": False,
            "GT_FOLDER": str(folder / "gt"),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "SEQ_INFO": {"S": FRAMES},
        }
    )
    metrics = [
        trackeval.metrics.HOTA(),
        trackeval.metrics.CLEAR({"PRINT_CONFIG": False}),
        trackeval.metrics.Identity({"PRINT_CONFIG": False}),
    ]
    told, _ = evaluator.evaluate([dataset], metrics)
    return told["MotChallenge2DBox"]["ours"]["COMBINED_SEQ"]["pedestrian"]


@pytest.mark.parametrize("seed", range(3))
def test_tracking_figures_are_trackeval_s_on_the_files(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(seed, ("person",))
    told = tracked_by_trackeval(tmp_path, scene)
    results = scene.run(("person",))
    truth = load_truth([str(tmp_path / "gt/MOT17-train/S")], results)
    tracking = score_results(results, truth).tracking
    own = {
        "HOTA": (tracking.hota, np.mean(told["HOTA"]["HOTA"])),
        "DetA": (tracking.det_a, np.mean(told["HOTA"]["DetA"])),
        "AssA": (tracking.ass_a, np.mean(told["HOTA"]["AssA"])),
        "IDF1": (tracking.idf1, told["Identity"]["IDF1"]),
        "MOTA": (tracking.mota, told["CLEAR"]["MOTA"]),
        "IDSW": (tracking.id_switches, told["CLEAR"]["IDSW"]),
        "Frag": (tracking.fragments, told["CLEAR"]["Frag"]),
        "FP": (tracking.false_alarms, told["CLEAR"]["CLR_FP"]),
        "FN": (tracking.misses, told["CLEAR"]["CLR_FN"]),
    }
    for name, (ours, theirs) in own.items():
        assert ours == pytest.approx(float(theirs), abs=1e-6), name
    assert 0.2 < tracking.hota < 0.95
    assert tracking.id_switches > 0


@pytest.mark.parametrize("seed", range(4))
def test_j_and_f_are_trackeval_s_with_outlines_sought_in_a_window(seed: int) -> None:
    scene = Scene(seed)
    names: list[dict[int, int]] = [{}, {}]
    data: dict = {"num_timesteps": FRAMES}
    for kind, frames, known in (
        ("gt", scene.truth, names[0]),
        ("tracker", scene.answers, names[1]),
    ):
        data[f"{kind}_ids"] = [
            np.array([known.setdefault(o[0], len(known)) for o in found], int) for found in frames
        ]
        data[f"{kind}_dets"] = [[o[3] for o in found] for found in frames]
        data[f"num_{kind}_ids"] = len(known)
    ours = score_masks([data, data])
    with np.errstate(invalid="ignore"):
        told = JAndF().eval_sequence(
            {**data, "gt_dets": list(data["gt_dets"]), "tracker_dets": list(data["tracker_dets"])}
        )
    assert ours == pytest.approx((told["J-Mean"], told["F-Mean"]), abs=1e-12)
    assert 0.3 < ours[0] < 0.95


def test_j_and_f_of_nothing() -> None:
    assert np.isnan(score_masks([])).all()


def scored(seed: int, tmp_path: Path) -> RunScore:
    scene = Scene(seed)
    (tmp_path / "truth.json").write_text(json.dumps(scene.truth_as_coco()))
    results = scene.run()
    return score_results(results, load_truth([str(tmp_path / "truth.json")], results))


@pytest.mark.parametrize("seed", range(2))
def test_recall_at_a_price_is_the_best_of_all_thresholds(seed: int, tmp_path: Path) -> None:
    """Against trying every threshold with a matching of its own."""
    frames = scored(seed, tmp_path).frames
    prices = (0.0, 0.05, 0.1, 0.3, 1.0, 9.0)
    best = dict.fromkeys(prices, 0.0)
    scores = sorted({float(s) for frame in frames for s in frame.answer.scores}, reverse=True)
    wanted = sum(int(frame.expected.wanted.sum()) for frame in frames)
    for threshold in scores:
        found = false = 0
        for frame in frames:
            hits = greedy(frame, threshold)
            found += hits
            false += int((frame.answer.scores >= threshold).sum()) - hits
        for price in prices:
            if false <= price * len(frames):
                best[price] = max(best[price], found / wanted)
    assert recall_at(frames, prices) == pytest.approx(best)


def greedy(frame, threshold: float) -> int:
    """Hits of COCO's matching: the surest answer takes the object that it overlaps most."""
    objects, answer = frame.expected.objects, frame.answer
    free = set(range(len(objects)))
    hits = 0
    for j in np.argsort(-answer.scores, kind="stable"):
        if answer.scores[j] < threshold:
            continue
        overlaps = {i: iou(objects.boxes[i], answer.boxes[j]) for i in free
                    if objects.phrases[i] == answer.phrases[j]}  # fmt: skip
        best = max(overlaps, key=lambda i: overlaps[i], default=None)
        if best is not None and overlaps[best] >= 0.5:
            free.discard(best)
            hits += 1
    return hits


def iou(a: np.ndarray, b: np.ndarray) -> float:
    inner = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(inner / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inner))
