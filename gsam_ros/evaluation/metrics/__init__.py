"""Figures of answers against truth, by the libraries that define them."""
