"""Surgery on graphs: fusing nodes, narrower products, smaller tables."""
