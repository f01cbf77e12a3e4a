"""How good, how various and how original pictures are: distances of features and of pixels."""
