/// One utterance of a call: document 003's `CallInteraction` without its sentiment, which qa-analytics adds.
public struct InteractionSnapshot: Sendable, Hashable, JSONWritable {
    public var id: Int64
    public var callID: CallID
    public var speaker: Speaker
    /// For the AI: what the caller actually heard.
    public var text: String
    public var audioURL: String?
    public var timestamp: Instant
    /// lang, citations, latency_ms, interrupted …
    public var metadata: JSONObject
    /// 1, 2, 3 … within the call.
    public var sequence: Int

    public init(
        id: Int64, callID: CallID, speaker: Speaker, text: String, audioURL: String? = nil, timestamp: Instant,
        metadata: JSONObject = [:], sequence: Int
    ) {
        self.id = id
        self.callID = callID
        self.speaker = speaker
        self.text = text
        self.audioURL = audioURL
        self.timestamp = timestamp
        self.metadata = metadata
        self.sequence = sequence
    }

    public func write(to json: inout JSONWriter) {
        json.object { json in
            writeMembers(to: &json)
            json.field("sequence", sequence)
        }
    }

    /// As clients see it: document 003's `CallInteraction`.
    /// - Parameter sentiment: −1…1, when it is known.
    public func writeInteraction(to json: inout JSONWriter, sentiment: Double? = nil) {
        json.object { json in
            writeMembers(to: &json)
            guard let sentiment else { return }
            json.fieldObject("sentiment") { json in
                json.field("score", sentiment)
                json.field("label", SentimentLabel(score: sentiment))
            }
        }
    }

    private func writeMembers(to json: inout JSONWriter) {
        json.field("id", id)
        json.field("call_id", callID)
        json.field("speaker", speaker)
        json.field("text", text)
        json.field("audio_url", ifPresent: audioURL)
        json.field("timestamp", timestamp)
        json.field("metadata", metadata)
    }

    public init(json: JSON) throws(EventError) { try self.init(try Fields(json)) }

    init(_ fields: Fields) throws(EventError) {
        id = try fields.int64("id")
        callID = try fields.id("call_id")
        speaker = try fields.choice("speaker")
        text = try fields.string("text")
        audioURL = try fields.optionalString("audio_url")
        timestamp = try fields.instant("timestamp")
        metadata = try fields.object("metadata")
        sequence = try fields.int("sequence")
    }
}

extension InteractionSnapshot {
    private static let members: [Field] = [
        .required("id", .integer), .required("call_id", .uuid), .required("speaker", .choice(Speaker.self)),
        .required("text", .string, "For the AI: what the caller actually heard."), .optional("audio_url", .string),
        .required("timestamp", .instant),
        .required("metadata", .anyObject, "lang, citations, latency_ms, interrupted …"),
    ]

    static let schema = Schema.ref(
        "InteractionSnapshot", .object(members + [.required("sequence", .integer, "1, 2, 3 … within the call.")]))

    /// As clients see it.
    public static let clientSchema = Schema.ref(
        "Interaction",
        .object(
            members + [
                .optional(
                    "sentiment",
                    .object(.required("score", .number, "−1 … 1"), .required("label", .choice(SentimentLabel.self))))
            ]))
}
