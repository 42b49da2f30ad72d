"""SAM 2 through the modules of each model package, batched over objects."""
