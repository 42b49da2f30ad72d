"""The lifecycle node: its cameras, prompts, services, parameters and health."""
