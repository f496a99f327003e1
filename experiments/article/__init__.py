"""What all chapters share of the article: its numbers, and the rule by which its claims are judged."""
