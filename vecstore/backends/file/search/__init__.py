"""How a search is planned and answered: exact scans, the graph, filters and what is cached for them."""
