"""A small procedural world of coloured shapes: stills, training clips and the demo recording.

Everything here needs numpy and OpenCV only and draws from an explicit ``numpy.random.Generator``:
the same seed gives the same pixels, and two seeds share no sprite.
"""
