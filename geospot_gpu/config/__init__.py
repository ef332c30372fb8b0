"""Settings of commands: from Hydra, from manifests, and into the objects they stand for."""
