"""The sealed blob: CMS AuthEnvelopedData in a strict profile of ours (step 1.11)."""
