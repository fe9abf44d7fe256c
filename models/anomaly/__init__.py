"""What is out of the ordinary: a recipient's day against their own, a tenant's hour against its week."""
