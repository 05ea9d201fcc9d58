"""Measuring: CPU time, alternately with the operation that bounds it from below."""
