"""What moto does for us, and what we do to moto. The only importers of moto.

moto serves S3, IAM, EC2, ECR, STS and CloudWatch Logs as it is. Of its Batch we keep what holds compute environments,
queues and job definitions, and replace everything about jobs.
"""
