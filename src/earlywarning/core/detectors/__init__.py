"""Detectors: one module, one method; arrays in, arrays out, all series at once."""
