"""Polynomial and kernel regression on a target with a power-law spectrum: exponents known exactly.

The smallest system that has scaling laws. docs/demonstration.md tells what is computed and known.
"""
