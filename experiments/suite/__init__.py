"""Rules over several problems: the problems that ship, and the command that trains, judges and tells of them."""
