"""What analysts take away: the marts as files, the community as a graph, the data set as URIs."""
