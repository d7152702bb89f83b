import Shared

/// The carrier's call instructions, written as XML (Twilio: "TwiML for Programmable Voice").
///
/// Only the verbs this program speaks. Every attribute and text goes through `escaped`, so nothing a tenant configured
/// can close a tag.
struct TwiML: Sendable, Equatable {
    private(set) var text = #"<?xml version="1.0" encoding="UTF-8"?><Response>"#

    var document: String { text + "</Response>" }

    /// Said when we cannot do better: no database, no configuration, no time left.
    static let apology: TwiML = .sentence("We are sorry, we cannot take your call right now. Please try again later.")

    /// Keeps the caller on the line and has the carrier ask again.
    static func wait(then url: String) -> TwiML {
        var reply = TwiML()
        reply.say("One moment, please.")
        reply.element("Pause", [("length", "1")])
        reply.element("Redirect", [("method", "POST")], text: url)
        return reply
    }

    static let hangup: TwiML = {
        var reply = TwiML()
        reply.element("Hangup")
        return reply
    }()

    /// Does not pick up: the caller hears that the line is engaged or that nobody is there, and no second is charged.
    static let reject: TwiML = {
        var reply = TwiML()
        reply.element("Reject", [("reason", "rejected")])
        return reply
    }()

    /// An empty document: the carrier goes on with what it was doing, or hangs up when nothing is left.
    static let nothing = TwiML()

    static func sentence(_ words: String, language: String? = nil) -> TwiML {
        var reply = TwiML()
        reply.say(words, language: language)
        reply.element("Hangup")
        return reply
    }

    mutating func say(_ words: String, language: String? = nil) {
        element("Say", [("language", language)], text: words)
    }

    mutating func element(
        _ name: StaticString, _ attributes: [(StaticString, String?)] = [], text words: String? = nil
    ) {
        start(name, attributes)
        if let words { text += Self.escaped(words) }
        text += "</\(name)>"
    }

    mutating func element(
        _ name: StaticString, _ attributes: [(StaticString, String?)] = [], _ body: (inout TwiML) -> Void
    ) {
        start(name, attributes)
        body(&self)
        text += "</\(name)>"
    }

    private mutating func start(_ name: StaticString, _ attributes: [(StaticString, String?)]) {
        text += "<\(name)"
        for (key, value) in attributes {
            guard let value else { continue }
            text += " \(key)=\"\(Self.escaped(value))\""
        }
        text += ">"
    }

    /// XML 1.0 text: the five entities, and no character the recommendation (§2.2) forbids.
    static func escaped(_ raw: String) -> String {
        var out = ""
        out.reserveCapacity(raw.utf8.count)
        for scalar in raw.unicodeScalars {
            switch scalar {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "'": out += "&apos;"
            case "\t", "\n", "\r": out.unicodeScalars.append(scalar)
            default:
                let allowed = scalar.value >= 0x20 && scalar.value != 0xFFFE && scalar.value != 0xFFFF
                if allowed { out.unicodeScalars.append(scalar) }
            }
        }
        return out
    }
}

// MARK: - What this program says to the carrier

/// How the AI sounds and what it listens for, as `<ConversationRelay>` attributes.
struct RelayVoice: Sendable, Equatable {
    var language: String?
    var voice: String?
}

extension TwiML {
    /// Connects the caller to the conversation engine. The greeting is spoken over the socket, not by the attribute,
    /// so that it is said and stored once however often the carrier connects again.
    static func relay(socket: String, action: String, voice: RelayVoice, call: CallID) -> TwiML {
        var reply = TwiML()
        reply.element("Connect", [("action", action), ("method", "POST")]) { connect in
            connect.element(
                "ConversationRelay",
                [
                    ("url", socket), ("language", voice.language), ("voice", voice.voice),
                    ("interruptible", "any"), ("reportInputDuringAgentSpeech", "none"), ("dtmfDetection", "true"),
                ]
            ) { relay in
                relay.element("Parameter", [("name", "call_id"), ("value", call.text)])
            }
        }
        return reply
    }

    /// The caller waits in the call's conference until the human arrives.
    static func holdInConference(_ room: String, language: String?) -> TwiML {
        var reply = TwiML()
        reply.element("Dial") { dial in
            dial.element(
                "Conference",
                [
                    ("startConferenceOnEnter", "true"), ("endConferenceOnExit", "true"), ("beep", "false"),
                    ("participantLabel", "customer"),
                ], text: room)
        }
        return reply
    }

    /// The human hears what it is about, then joins. When the human leaves, the conference is over for both.
    static func briefAndJoin(_ room: String, summary: String, language: String?) -> TwiML {
        var reply = TwiML()
        reply.say(summary, language: language)
        reply.element("Dial") { dial in
            dial.element(
                "Conference",
                [
                    ("startConferenceOnEnter", "true"), ("endConferenceOnExit", "true"), ("beep", "true"),
                    ("participantLabel", "agent"),
                ], text: room)
        }
        return reply
    }

    /// Without a warm transfer the caller is put straight through.
    static func forward(to number: String, callerID: String?, action: String) -> TwiML {
        var reply = TwiML()
        reply.element(
            "Dial", [("callerId", callerID), ("answerOnBridge", "true"), ("timeout", "25"), ("action", action)]
        ) { dial in
            dial.element("Number", text: number)
        }
        return reply
    }
}
