"""Where one model may be trusted: how far places are from the points that it was trained on."""
