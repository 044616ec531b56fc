"""A made-up shop with real dirt: the files it delivers, and what the platform must make of them."""
