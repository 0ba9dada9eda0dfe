"""The category audit: wrong labels, outliers, duplicates, categories that overlap, and the sheet that a curator fills in."""
