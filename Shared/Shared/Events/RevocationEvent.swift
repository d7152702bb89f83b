/// What no longer counts: tokens of a session, of a person or of an API key that were issued up to `at`. The topic is
/// compacted; every program that checks tokens loads it before it is ready.
public struct RevocationEvent: Event, Hashable {
    public enum Kind: String, CaseIterable, Sendable, JSONWritable {
        case session, user, key
    }

    public var kind: Kind
    /// A session's, a user's or an API key's id, by `kind`.
    public var id: String
    public var at: Instant
    /// When the last token it concerns has expired, and this may be forgotten.
    public var until: Instant

    public init(kind: Kind, id: String, at: Instant, until: Instant) {
        self.kind = kind
        self.id = id
        self.at = at
        self.until = until
    }

    public static let topic = Topic.authRevocations
    public static let types = ["auth.revocation.recorded.v1"]
    public var key: String { "\(kind.rawValue):\(id)" }
    public var type: String { RevocationEvent.types[0] }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("kind", kind)
            json.field("id", id)
            json.field("at", at)
            // Instants in JSON end at milliseconds; a token may be issued in the same one, before or after.
            let fraction = at.microseconds % 1000
            json.field("at_microseconds", ifPresent: fraction == 0 ? nil : fraction)
            json.field("until", until)
        }
    }

    public init(type: String, json: JSON) throws {
        guard RevocationEvent.types.contains(type) else { throw EventError.unknownType(type) }
        let fields = try Fields(json)
        kind = try fields.choice("kind")
        id = try fields.string("id")
        let fraction = json["at_microseconds"]?.int.flatMap { (0..<1000).contains($0) ? $0 : nil } ?? 0
        at = try fields.instant("at") + .microseconds(fraction)
        until = try fields.instant("until")
    }
}

extension RevocationEvent {
    public static let schemas = [
        Schema.object(
            .required("kind", .choice(Kind.self)),
            .required("id", .string, "A session's, a user's or an API key's id, by `kind`."),
            .required("at", .instant, "What was issued until then no longer counts."),
            .required("until", .instant, "When the last token it concerns has expired."))
    ]
}
