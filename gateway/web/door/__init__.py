"""Who is calling and what they may do: keys, tickets, open mode."""
