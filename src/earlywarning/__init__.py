"""Early warning for joint crime prevention."""
