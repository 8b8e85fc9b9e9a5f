"""The same engine on Apache Kafka: workers on Faust, the desk that keeps what they say in the SQL store."""
