#!/bin/bash
# Creates the topics of topics.md on a cluster:  KAFKA_BROKERS=host:9092 deploy/kafka/create-topics.sh
# Needs Kafka's own kafka-topics.sh on PATH. Leaves topics that exist as they are.
set -euo pipefail

table=$(dirname "${BASH_SOURCE[0]}")/topics.md
brokers=${KAFKA_BROKERS:?KAFKA_BROKERS=host:port,…}
replicas=${REPLICATION_FACTOR:-3}

create() { # topic partitions config…
    local arguments=(--bootstrap-server "$brokers" --create --if-not-exists --topic "$1" --partitions "$2"
        --replication-factor "$replicas")
    for setting in "${@:3}"; do arguments+=(--config "$setting"); done
    kafka-topics.sh "${arguments[@]}"
}

awk -F ' *[|] *' '/^\| [a-z]+\.[a-z]+ / { print $2 "|" $4 "|" $5 }' "$table" |
    while IFS='|' read -r topic partitions kept; do
        case $kept in
            compacted) create "$topic" "$partitions" cleanup.policy=compact min.cleanable.dirty.ratio=0.1 ;;
            '1 hour') create "$topic" "$partitions" retention.ms=3600000 segment.ms=600000 ;;
            '7 days') create "$topic" "$partitions" retention.ms=604800000 ;;
            *) echo "create-topics: '$kept' for $topic is not understood" >&2; exit 1 ;;
        esac
        create "$topic.dead" 1 retention.ms=2592000000
    done
