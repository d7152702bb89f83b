#pragma once
#include <librdkafka/rdkafka.h>
#include <stdint.h>
#include <string.h>

// One record with up to eight headers: rd_kafka_producev is variadic and its array form takes a union, neither of which
// Swift can call. The library copies everything.
typedef struct ck_header {
    const char *name;
    const void *value;
    size_t size;
} ck_header;

static inline rd_kafka_resp_err_t ck_produce(rd_kafka_t *rk, const char *topic, int32_t partition, const void *key,
    size_t key_size, const void *value, size_t value_size, const ck_header *headers, size_t header_count, void *opaque) {
    rd_kafka_headers_t *list = rd_kafka_headers_new(header_count);
    for (size_t i = 0; i < header_count; i++)
        rd_kafka_header_add(list, headers[i].name, -1, headers[i].value, (ssize_t)headers[i].size);
    rd_kafka_resp_err_t error = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_size),
        RD_KAFKA_V_VALUE((void *)value, value_size), RD_KAFKA_V_HEADERS(list), RD_KAFKA_V_OPAQUE(opaque),
        RD_KAFKA_V_END);
    if (error) rd_kafka_headers_destroy(list); // on success the message owns them
    return error;
}
