"""One screen for each question of an operator, and the dialogs on top of them."""
