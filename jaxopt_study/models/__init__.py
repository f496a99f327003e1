"""Networks behind one contract: the article's, plain and fast, and any Flax module."""
