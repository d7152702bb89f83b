import Shared

/// The messages of the carrier's ConversationRelay socket (Twilio: "ConversationRelay WebSocket messages").
enum RelayMessage {
    struct Setup: Sendable, Equatable {
        var session: String
        var sid: String
        var from: String
        var to: String
    }

    /// Carrier → us. A type we do not know is ignored, as the protocol grows.
    enum Inbound: Sendable, Equatable {
        case setup(Setup)
        case prompt(String, language: String?, last: Bool)
        /// `heard` is the part of our current speech that was spoken before the caller cut in.
        case interrupt(heard: String, afterMilliseconds: Int64?)
        case digit(String)
        case failure(String)
        case information(name: String, value: String)
        case unknown(String)
    }

    /// Us → carrier.
    enum Outbound: Sendable, Equatable {
        /// `preemptible`: the next speech of ours may cut this one.
        case text(String, last: Bool, language: String?, preemptible: Bool = false)
        case play(source: String)
        case digits(String)
        case language(speech: String?, transcription: String?)
        case end(handoff: String?)
    }

    enum Unreadable: Error, Equatable {
        case notJSON
        case noType
        case missing(String)
    }

    static func decode(_ text: String) throws(Unreadable) -> Inbound {
        guard let json = try? JSON.parse(text) else { throw .notJSON }
        guard let type = json["type"]?.string else { throw .noType }
        switch type {
        case "setup":
            guard let sid = json["callSid"]?.string else { throw .missing("callSid") }
            return .setup(
                Setup(
                    session: json["sessionId"]?.string ?? "", sid: sid, from: json["from"]?.string ?? "",
                    to: json["to"]?.string ?? ""))
        case "prompt":
            guard let words = json["voicePrompt"]?.string else { throw .missing("voicePrompt") }
            return .prompt(words, language: json["lang"]?.string, last: json["last"]?.bool ?? true)
        case "interrupt":
            return .interrupt(
                heard: json["utteranceUntilInterrupt"]?.string ?? "",
                afterMilliseconds: json["durationUntilInterruptMs"].flatMap(milliseconds))
        case "dtmf":
            guard let digit = json["digit"]?.string else { throw .missing("digit") }
            return .digit(digit)
        case "error":
            return .failure(json["description"]?.string ?? "")
        case "info":
            return .information(name: json["name"]?.string ?? "", value: json["value"]?.string ?? "")
        default:
            return .unknown(type)
        }
    }

    /// The protocol has no word for "stop speaking". A speech may be cut by the next one, so the next one is a silence:
    /// it has nothing to pronounce, but is not empty, which the carrier may ignore.
    static let hush = Outbound.text("…", last: true, language: nil)

    static func encode(_ message: Outbound) -> String {
        var json = JSONWriter(capacity: 128)
        json.object { json in
            switch message {
            case .text(let token, let last, let language, let preemptible):
                json.field("type", "text")
                json.field("token", token)
                json.field("last", last)
                json.field("lang", ifPresent: language)
                json.field("preemptible", ifPresent: preemptible ? true : nil)
            case .play(let source):
                json.field("type", "play")
                json.field("source", source)
            case .digits(let digits):
                json.field("type", "sendDigits")
                json.field("digits", digits)
            case .language(let speech, let transcription):
                json.field("type", "language")
                json.field("ttsLanguage", ifPresent: speech)
                json.field("transcriptionLanguage", ifPresent: transcription)
            case .end(let handoff):
                json.field("type", "end")
                json.field("handoffData", ifPresent: handoff)
            }
        }
        return String(decoding: json.bytes, as: UTF8.self)
    }

    /// The carrier's pages show this as a number and as a string (facts: "number or string").
    private static func milliseconds(_ json: JSON) -> Int64? {
        json.int64 ?? json.double.flatMap { Int64(exactly: $0.rounded()) } ?? json.string.flatMap { Int64($0) }
    }
}

/// What travels in `end.handoffData` and comes back to the `<Connect>` action as `HandoffData`.
struct Handoff: Sendable, Equatable {
    enum Reason: String, Sendable, CaseIterable {
        /// A human takes the call.
        case human = "live-agent-handoff"
        /// The conversation is over.
        case finished = "conversation-finished"
    }

    var reason: Reason
    var escalation: Int64?
    var summary: String?

    var text: String {
        var json = JSONWriter(capacity: 128)
        json.object { json in
            json.field("reasonCode", reason.rawValue)
            json.field("escalation_id", ifPresent: escalation)
            json.field("conversationSummary", ifPresent: summary)
        }
        return String(decoding: json.bytes, as: UTF8.self)
    }

    init(_ reason: Reason, escalation: Int64? = nil, summary: String? = nil) {
        self.reason = reason
        self.escalation = escalation
        self.summary = summary
    }

    init?(_ text: String) {
        guard let json = try? JSON.parse(text), let reason = json["reasonCode"]?.string.flatMap(Reason.init) else {
            return nil
        }
        self.init(reason, escalation: json["escalation_id"]?.int64, summary: json["conversationSummary"]?.string)
    }
}
