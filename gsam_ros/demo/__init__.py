"""`gsam demo`: a sample recording through the real node, scored."""
