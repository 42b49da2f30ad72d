"""A run of the segmenter's training: clips' batches, and a run that was cut in two."""

from __future__ import annotations
