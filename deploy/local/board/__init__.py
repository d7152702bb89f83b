"""The local platform: PostgreSQL, a Kafka-compatible broker and Switchboard's programs on one machine."""
