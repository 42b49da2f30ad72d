"""How demo-segmenter is made and measured."""
