"""One chart function per result, and the report: one HTML file that opens from disk with the network off."""
