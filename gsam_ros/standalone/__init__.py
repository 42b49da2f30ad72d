"""`gsam track` and `gsam detect`: the pipeline on a recording, without ROS running."""
