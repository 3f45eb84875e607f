"""Whether nothing is lost, doubled or leaked over many deaths, many drafts, many followers and many jobs."""
