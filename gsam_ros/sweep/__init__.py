"""Many recordings and many settings in one call: `gsam sweep`."""
