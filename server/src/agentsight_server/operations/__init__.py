"""For who runs the server: health, doctor, backup."""
