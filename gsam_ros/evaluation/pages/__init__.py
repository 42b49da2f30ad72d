"""Reports as single HTML files that need no network and read well on a phone and in the dark."""
