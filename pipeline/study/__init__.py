"""From a completed config to its study: sizes, cells, laws, figures, experiments."""
