import CKafka

/// One record of a topic, written or read.
public struct Record: Sendable {
    public var topic: String
    /// Records with the same key stay in order; nil goes anywhere.
    public var key: [UInt8]?
    /// nil is a tombstone: in a compacted topic it deletes the key.
    public var value: [UInt8]?
    public var headers: [(name: String, value: [UInt8])]
    /// Read: where it lies. Written: -1 lets the key decide.
    public var partition: Int32
    /// Read: its place in the partition.
    public var offset: Int64
    /// Read: when it was written, milliseconds since 1970.
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

    /// The first header of that name.
    public func header(_ name: String) -> [UInt8]? { headers.first { $0.name == name }?.value }

    public func text(_ name: String) -> String? { header(name).map { String(decoding: $0, as: UTF8.self) } }
}

/// Where a record came to lie.
public struct Delivery: Sendable, Hashable {
    public let partition: Int32
    public let offset: Int64
}

/// A partition of a topic.
public struct Partition: Sendable, Hashable, CustomStringConvertible {
    public let topic: String
    public let number: Int32

    public init(topic: String, number: Int32) {
        self.topic = topic
        self.number = number
    }

    public var description: String { "\(topic)/\(number)" }
}

extension Record {
    public var place: Partition { Partition(topic: topic, number: partition) }

    /// Copies a message out of librdkafka's memory.
    init(_ message: UnsafePointer<rd_kafka_message_t>, topic: String) {
        let fields = message.pointee
        self.init(
            topic: topic,
            key: fields.key.map { Array(UnsafeRawBufferPointer(start: $0, count: fields.key_len)) },
            value: fields.payload.map { Array(UnsafeRawBufferPointer(start: $0, count: fields.len)) },
            headers: Record.headers(of: message),
            partition: fields.partition, offset: fields.offset,
            timestamp: rd_kafka_message_timestamp(message, nil))
    }

    private static func headers(
        of message: UnsafePointer<rd_kafka_message_t>
    ) -> [(name: String, value: [UInt8])] {
        var list: OpaquePointer?
        guard rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return [] }
        var headers: [(name: String, value: [UInt8])] = []
        headers.reserveCapacity(rd_kafka_header_cnt(list))
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while rd_kafka_header_get_all(list, headers.count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR,
            let start = name
        {
            let bytes = value.map { Array(UnsafeRawBufferPointer(start: $0, count: size)) } ?? []
            headers.append((String(cString: start), bytes))
        }
        return headers
    }

    /// What tells this record from any other that could lie at its offset in a log written anew.
    var fingerprint: Int {
        var hasher = Hasher()
        hasher.combine(timestamp)
        hasher.combine(key)
        hasher.combine(value)
        for (name, value) in headers {
            hasher.combine(name)
            hasher.combine(value)
        }
        return hasher.finalize()
    }
}
