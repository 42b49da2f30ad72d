"""`gsam track` and `gsam detect`: the machine on a recording, without ROS running."""
