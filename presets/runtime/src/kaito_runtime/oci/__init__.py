"""Images of adapters and weights: pushed to and pulled from OCI registries."""
