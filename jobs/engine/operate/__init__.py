"""What operators use: the doctor, the deployment check, metrics, trends, workers, clean-up."""
