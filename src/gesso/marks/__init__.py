"""What a picture says about itself: how to make it again (the recipe), and that a machine made it (the mark)."""
