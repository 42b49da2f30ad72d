"""Grounding DINO: phrases and images in, boxes with phrases out."""
