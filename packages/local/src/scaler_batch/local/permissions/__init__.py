"""What IAM allows: policies evaluated, requests translated to actions and resources, and the layer that refuses."""
