"""What image sets are like: metrics of each set, against a reference set of real images."""
