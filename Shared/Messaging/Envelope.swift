import Kafka
import Runtime
import Shared

/// One event as it came: CloudEvents 1.0 in Kafka's binary mode.
public struct Envelope: Sendable {
    public let id: EventID
    /// Such as `telephony.call.ended.v1`.
    public let type: String
    public let source: String
    /// When it was published.
    public let time: Instant
    public let key: String
    /// Of the request that led to it.
    public let trace: TraceContext?
    public let topic: String
    public let partition: Int32
    public let offset: Int64
    /// nil: a tombstone for the key.
    public let payload: [UInt8]?
    /// Sent again because a broker had lost it, or by hand: whoever reads only what is new has probably had it.
    public let isRepublished: Bool

    /// Why a record is no event.
    public struct Malformed: Error, Sendable, CustomStringConvertible {
        public let header: String
        public var description: String { "the record has no usable \(header) header" }
    }

    public init(_ record: Record) throws(Malformed) {
        guard let id = record.text(Header.id).flatMap({ EventID($0) }) else { throw Malformed(header: Header.id) }
        guard let type = record.text(Header.type), !type.isEmpty else { throw Malformed(header: Header.type) }
        self.init(record, id: id, type: type)
    }

    init(_ record: Record, id: EventID, type: String) {
        self.id = id
        self.type = type
        source = record.text(Header.source) ?? ""
        time = record.text(Header.time).flatMap { Instant(iso: $0) } ?? Instant(microseconds: record.timestamp * 1000)
        key = String(decoding: record.key ?? [], as: UTF8.self)
        trace = record.text(Header.trace).flatMap { TraceContext(traceparent: $0) }
        topic = record.topic
        partition = record.partition
        offset = record.offset
        payload = record.value
        isRepublished = record.header(Header.republished) != nil
    }

    /// A record without a usable id, under one made of its place: it stays the same however often it is read.
    static func nameless(_ record: Record) -> Envelope {
        let digest = Digest.sha256(
            Array("\(record.topic)/\(record.partition)/\(record.offset)/\(record.timestamp)".utf8))
        func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        return Envelope(record, id: EventID(high: word(digest[0..<8]), low: word(digest[8..<16])), type: "malformed")
    }

    public func json() throws -> JSON { try JSON.parse(payload ?? []) }

    /// The event of this topic.
    /// - Throws: `EventError`, `JSON.SyntaxError`.
    public func event<E: Event>(as _: E.Type = E.self) throws -> E { try E(type: type, json: json()) }

    enum Header {
        static let id = "ce_id"
        static let type = "ce_type"
        static let source = "ce_source"
        static let time = "ce_time"
        static let version = "ce_specversion"
        static let contentType = "content-type"
        static let trace = "traceparent"
        /// An extension of ours.
        static let republished = "ce_republished"
    }
}

extension Record {
    /// An event as a record.
    static func event(
        _ id: EventID, topic: String, key: String, type: String, source: [UInt8], time: Instant, payload: [UInt8]?,
        trace: String?, isRepublished: Bool
    ) -> Record {
        var headers: [(name: String, value: [UInt8])] = []
        headers.reserveCapacity(8)
        headers.append((Envelope.Header.version, cloudEvents))
        headers.append((Envelope.Header.id, Array(id.text.utf8)))
        headers.append((Envelope.Header.type, Array(type.utf8)))
        headers.append((Envelope.Header.source, source))
        headers.append((Envelope.Header.time, Array(time.iso.utf8)))
        headers.append((Envelope.Header.contentType, json))
        if let trace { headers.append((Envelope.Header.trace, Array(trace.utf8))) }
        if isRepublished { headers.append((Envelope.Header.republished, yes)) }
        return Record(topic: topic, key: Array(key.utf8), value: payload, headers: headers)
    }

    // The same bytes for every record, made once.
    private static let cloudEvents = Array("1.0".utf8)
    private static let json = Array("application/json".utf8)
    private static let yes = Array("true".utf8)
}
