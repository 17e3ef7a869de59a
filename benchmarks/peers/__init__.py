"""What others would write for the same search, each as its documentation shows it. Run as commands, never imported."""
