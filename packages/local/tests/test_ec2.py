"""EC2, where moto is not enough like it."""

from __future__ import annotations

from scaler_batch.local import LocalAWS


def test_offerings_of_a_family_are_found_by_wildcard(aws: LocalAWS) -> None:
    ec2 = aws.client("ec2")

    def zones(pattern: str) -> set[str]:
        filters = [{"Name": "instance-type", "Values": [pattern]}]
        found = ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=filters)
        return {one["Location"] for one in found["InstanceTypeOfferings"]}

    assert {"us-east-1a", "us-east-1b"} <= zones("m6i.*")
    assert "us-east-1e" not in zones("m6i.*")
    assert zones("m6i.none*") == set()
    ec2.close()


def test_a_launch_template_shows_the_tags_that_it_was_given_later(aws: LocalAWS) -> None:
    ec2 = aws.client("ec2")
    made = ec2.create_launch_template(LaunchTemplateName="later", LaunchTemplateData={"InstanceType": "m5.large"})
    template = made["LaunchTemplate"]["LaunchTemplateId"]
    ec2.create_tags(Resources=[template], Tags=[{"Key": "a", "Value": "b"}])
    (found,) = ec2.describe_launch_templates(LaunchTemplateIds=[template])["LaunchTemplates"]
    assert found["Tags"] == [{"Key": "a", "Value": "b"}]
    ec2.close()
