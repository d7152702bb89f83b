import CKafka

/// One record of a topic.
public struct Record: Sendable {
    public var topic: String
    public var key: [UInt8]?
    /// nil is a tombstone: a compacted topic forgets the key.
    public var value: [UInt8]?
    public var headers: [(name: String, value: [UInt8])]
    /// -1 before it is produced: the key chooses.
    public var partition: Int32
    public var offset: Int64
    /// Milliseconds since 1970, the broker's or the producer's; 0 when unknown.
    public var timestamp: Int64

    public init(
        topic: String, key: [UInt8]?, value: [UInt8]?, headers: [(name: String, value: [UInt8])] = [],
        partition: Int32 = -1, offset: Int64 = -1, timestamp: Int64 = 0
    ) {
        self.topic = topic
        self.key = key
        self.value = value
        self.headers = headers
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
    }

    public func header(_ name: String) -> String? {
        headers.first { $0.name == name }.map { String(decoding: $0.value, as: UTF8.self) }
    }

    /// Copies a message of the library, which frees its own.
    init(_ message: UnsafeMutablePointer<rd_kafka_message_t>, prefix: String) {
        let name = message.pointee.rkt.map { String(cString: rd_kafka_topic_name($0)) } ?? ""
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let timestamp = rd_kafka_message_timestamp(message, &kind)
        self.init(
            topic: name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name,
            key: Self.bytes(message.pointee.key, message.pointee.key_len),
            value: Self.bytes(message.pointee.payload, message.pointee.len), partition: message.pointee.partition,
            offset: message.pointee.offset, timestamp: max(timestamp, 0))
        var list: OpaquePointer?
        guard rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return }
        var place = 0
        var header: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while rd_kafka_header_get_all(list, place, &header, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR, let header {
            headers.append((String(cString: header), Self.bytes(value, size) ?? []))
            place += 1
        }
    }

    private static func bytes(_ start: UnsafeRawPointer?, _ count: Int) -> [UInt8]? {
        start.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) }
    }
}

/// Where a record went.
public struct Delivery: Sendable, Hashable {
    public var partition: Int32
    public var offset: Int64
}
