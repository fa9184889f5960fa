"""What runs: plain typed functions, one module per subject. Yours to edit."""
