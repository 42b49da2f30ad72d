"""The pipeline: frames and prompts in, instances out."""
