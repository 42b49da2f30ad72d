"""How the demo models are made: training and measuring them on the demo world."""
