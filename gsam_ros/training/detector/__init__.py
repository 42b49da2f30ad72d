"""How demo-detector is made and measured."""
