"""Create and remove the AWS resources that scaler-batch runs on."""

__version__ = "0.1.0"
