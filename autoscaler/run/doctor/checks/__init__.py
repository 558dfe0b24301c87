"""One module for each question; each check is one small function over the evidence."""
