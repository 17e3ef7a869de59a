"""From a source to arrays: reading, windows and splits, immutable snapshots."""
