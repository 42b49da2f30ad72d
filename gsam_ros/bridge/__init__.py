"""ROS messages to plain data and back, one file per kind."""
