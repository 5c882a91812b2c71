"""The 1,797 scans of handwritten digits that scikit-learn ships."""
