"""What the demo needs and the product does not: a chain to spend on."""
