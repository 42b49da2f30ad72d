"""`gsam train detector`: any Grounding DINO learns the objects of a COCO file."""
