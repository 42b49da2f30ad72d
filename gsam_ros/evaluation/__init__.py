"""Bags and videos in; figures, pictures and reports out.

Bags are read and written with `rosbags`, so scoring needs no ROS installation. Only `play` and
`record`, which talk to a running node, import rclpy.
"""
