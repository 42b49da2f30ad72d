"""Where the node publishes the results of a camera."""

from __future__ import annotations

NODE = "/gsam_node"
"""The node's full name where it is in no namespace; its results lie below."""
