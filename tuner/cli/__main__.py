"""`python -m tuner.cli`, for where there is no `caviar` on the path: jobs on a cluster."""

from tuner.cli import main

main()
