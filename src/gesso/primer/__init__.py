"""The primer: a small perceptual network that learned only from pictures which Gesso paints, and its painter."""
