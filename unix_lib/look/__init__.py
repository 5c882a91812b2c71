"""Looking at data: what records, codes and packs hold, what they add up to, what a sample says beforehand."""
