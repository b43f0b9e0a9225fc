"""The description of what is wanted, written for the tools of others: CloudFormation and Terraform.

Pure: nothing is asked of AWS, so account and network stand in the description as symbols that the tool fills in.
"""
