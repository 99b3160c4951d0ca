"""`python -m pipelines.sample`: a small Bluesky on localhost, to play with."""

from pipelines.sample.appview.server import main

main()
