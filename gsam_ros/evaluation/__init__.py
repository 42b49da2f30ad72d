"""Results against the truth: figures, comparisons, pictures and reports. Needs no ROS."""
