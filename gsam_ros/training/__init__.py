"""Training: a user's own objects (`fine_tuning/`), and the bundled models from nothing."""
