"""The machine: frames and prompts in, instances out."""
