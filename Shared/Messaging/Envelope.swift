import Kafka
import Runtime
import Shared

/// One event as it came: CloudEvents 1.0 in Kafka's binary mode.
public struct Envelope: Sendable {
    public let id: EventID
    public let type: String
    public let source: String
    public let time: Instant
    public let key: String
    public let trace: TraceContext?
    public let topic: String
    public let partition: Int32
    public let offset: Int64
    /// nil: a tombstone for the key.
    public let payload: [UInt8]?

    /// Why a record is no event.
    public struct Malformed: Error, Sendable, CustomStringConvertible {
        public let header: String
        public var description: String { "the record has no usable \(header) header" }
    }

    init(_ record: Record) throws(Malformed) {
        guard let id = record.header("ce_id").flatMap({ EventID($0) }) else { throw Malformed(header: "ce_id") }
        guard let type = record.header("ce_type") else { throw Malformed(header: "ce_type") }
        self.id = id
        self.type = type
        source = record.header("ce_source") ?? ""
        time = record.header("ce_time").flatMap { Instant(iso: $0) } ?? Instant(microseconds: record.timestamp * 1000)
        key = String(decoding: record.key ?? [], as: UTF8.self)
        trace = record.header("traceparent").flatMap { TraceContext(traceparent: $0) }
        topic = record.topic
        partition = record.partition
        offset = record.offset
        payload = record.value
    }

    public func json() throws -> JSON { try JSON.parse(payload ?? []) }

    /// The event of this topic.
    /// - Throws: `EventError`, or `JSON.SyntaxError`.
    public func event<E: Event>(as type: E.Type) throws -> E { try E(type: self.type, json: json()) }
}
