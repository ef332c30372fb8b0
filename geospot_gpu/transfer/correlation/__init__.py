"""Whether distances predict scores, where pairs share regions."""
