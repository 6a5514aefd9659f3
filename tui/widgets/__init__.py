"""What the screens are made of, named after what is seen."""
