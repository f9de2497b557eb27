"""The pictures of `vecstore plot`: two dimensions, as a page, an image or lines of a terminal."""
