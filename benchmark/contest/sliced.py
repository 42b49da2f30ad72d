"""Small objects in large pictures: our sliced detection and sahi's, one tile size, one batch."""

from __future__ import annotations

import numpy as np
import slices
import torch
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from gsam_ros import checkpoints
from gsam_ros.detection.detector import GroundingDetector
from gsam_ros.detection.settings import SliceSettings
from gsam_ros.instances import Detections

from .contenders import Models

TILE = SliceSettings(mode="always", width=256, height=192, batch=8)


class Ours:
    """`GroundingDetector` with slices."""

    def __init__(self, models: Models) -> None:
        self._detector = GroundingDetector(models.detector, torch.device(models.device))

    def look(self, image: np.ndarray, phrases: tuple[str, ...]) -> Detections:
        """Detections of one picture."""
        return slices.ours(self._detector, TILE, image, phrases)


class Sahi:
    """`sahi` around the same weights in transformers' own classes."""

    def __init__(self, models: Models) -> None:
        source = checkpoints.locate(models.detector)
        stock = AutoModelForZeroShotObjectDetection.from_pretrained(source)
        self._stock = stock.eval().to(models.device)
        self._processor = AutoProcessor.from_pretrained(source)
        self._device = models.device

    def look(self, image: np.ndarray, phrases: tuple[str, ...]) -> Detections:
        """Detections of one picture."""
        return slices.sahi(self._stock, self._processor, TILE, image, phrases, self._device)
