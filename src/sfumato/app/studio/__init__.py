"""The studio: a page on this machine where people draw, mask, turn and watch; a queue behind it, and a worker."""
