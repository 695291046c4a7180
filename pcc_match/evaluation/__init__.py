"""How well a comparator tells people apart: error rates with their uncertainty, and a report that people can read."""
