"""What is told: the events of the world, by Jetstream, the firehose and Tap."""
