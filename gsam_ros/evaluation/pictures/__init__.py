"""A run as pictures and videos."""
