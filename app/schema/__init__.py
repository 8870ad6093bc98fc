"""What may be asked: the graph, one file for each noun."""
