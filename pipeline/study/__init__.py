"""From a completed config to its study: sizes, cells, and the laws that it fits."""
