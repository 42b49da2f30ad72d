"""What `benchmark/bench.py` is made of: scenes, contenders, their processes, figures and a plot."""
