"""Bags and videos, read and written; and every source of frames.

Bags are read and written with `rosbags`, so this needs no ROS installation.
"""
