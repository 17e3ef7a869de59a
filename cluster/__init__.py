"""Ray clusters and jobs: knows neither tuner nor models, because a job is a command line."""
