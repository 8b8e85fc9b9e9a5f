"""The HTTP interface: events in; alerts, counts and the state of the service out."""
