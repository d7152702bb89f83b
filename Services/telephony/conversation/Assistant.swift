import Shared

/// Who answers the customer: HomeAI when there is a key, the offline responder otherwise, and always when HomeAI fails.
///
/// One closure, so that a test or another provider can take its place.
struct Assistant: Sendable {
    /// Answers one turn: speaks through `voice` as words come, uses tools through it, and returns when all is said.
    /// Throws only when it cannot answer at all, or `CancellationError` when the turn was stopped.
    var answer: @Sendable (Question, TurnVoice) async throws -> Void
}

/// Everything an answer may be based on.
struct Question: Sendable {
    struct Line: Sendable, Equatable {
        let speaker: Speaker
        let text: String
    }

    var words: String
    var keypad = false
    /// A manager's message to be passed on in this turn; then `words` are empty or the customer's.
    var advice: [String] = []
    var history: [Line] = []
    var passages: [Passage] = []
    var profile: Profile
    /// Turns of this call so far; varies the offline responder's phrases without chance.
    var round = 0
    var failures = 0
}

/// A piece of the knowledge base, as the search found it.
struct Passage: Sendable, Equatable {
    let entry: Int64
    /// Its own id; nil where the knowledge base tells none.
    var passage: Int64?
    /// Of the document, from 1.
    var page: Int?
    let title: String
    let text: String
    let score: Double
    /// How much of the question it speaks to, in its words or in others, 0…1; nil where the knowledge base does not say.
    var coverage: Double?
}

/// Who the AI is in this call: the agent and the business configuration it speaks for.
struct Profile: Sendable, Equatable {
    var agentName = "Assistant"
    var businessName: String?
    var character: String?
    var personality: String?
    var language: String?
    var systemPrompt: String?
    /// A manager's instructions for this call, instead of the configured ones.
    var override: String?
    var model: String?
    var temperature: Double?
    var usesKnowledge = true
    var passagesMax = 4
    var similarityLeast = 0.0
    var triggers = Triggers()
    var warmTransfer = true
    var recordsConsent: String?
}

/// What an assistant may do beside talking (design §5.4).
enum ToolCall: Sendable, Equatable {
    case lookUp(String)
    case callback(CallbackRequest)
    case transfer(reason: String, wish: Wish)
    case outcome(Call.Outcome)
    case optOut
    case endCall

    struct CallbackRequest: Sendable, Equatable {
        enum Kind: String, Sendable { case callback, meeting }
        var kind: Kind
        var time: CallbackTime
        /// Given as an instant, it wins over `time`.
        var at: Instant?
        var name: String?
        var note: String?
    }
}

/// What a tool answered, in words for the assistant.
struct ToolResult: Sendable, Equatable {
    var text: String
    /// The tool did what it was asked.
    var done = true
}

/// The assistant's mouth and hands during one turn. Everything goes through here, so that what was sent, cited and done
/// is known however the turn ends.
///
/// Touched only on the loop of the conversation whose turn it is, hence unchecked: turn, reader and conversation all run
/// there and never overlap between two awaits.
final class TurnVoice: @unchecked Sendable {
    private let send: (String) async throws -> Void
    private let perform: (ToolCall) async throws -> ToolResult
    private let ready: () async throws -> Void
    private let now: () -> Instant

    /// Everything sent to be spoken, in order.
    private(set) var sent = ""
    private(set) var firstToken: Instant?
    private(set) var calls: [ToolCall] = []
    var citations: [Citation] = []
    /// How much of the question the answer rests on, 0…1; nil when that means nothing here.
    var confidence: Double?
    /// The assistant had no answer.
    var failed = false
    /// The provider that spoke: "homeai", "offline", or both when one finished for the other.
    var providers: [String] = []

    init(
        send: @escaping (String) async throws -> Void, perform: @escaping (ToolCall) async throws -> ToolResult,
        ready: @escaping () async throws -> Void = {}, now: @escaping () -> Instant = Instant.now
    ) {
        self.send = send
        self.perform = perform
        self.ready = ready
        self.now = now
    }

    /// Speaks. Throws `CancellationError` once the turn was stopped: nothing is said after an interrupt.
    func say(_ token: String) async throws {
        guard !token.isEmpty else { return }
        try await ready()
        try Task.checkCancellation()
        if firstToken == nil { firstToken = now() }
        sent += token
        try await send(token)
    }

    func use(_ call: ToolCall) async throws -> ToolResult {
        try await ready()
        try Task.checkCancellation()
        calls.append(call)
        return try await perform(call)
    }
}

/// Where an answer comes from: the entry, and the passage of it.
struct Citation: Sendable, Equatable {
    let entry: Int64
    let passage: Int64?
    let page: Int?
    let title: String
    let score: Double

    init(_ passage: Passage) {
        entry = passage.entry
        self.passage = passage.passage
        page = passage.page
        title = passage.title
        score = passage.score
    }

    var json: JSON {
        var object: JSONObject = ["entry_id": .int(entry), "title": .string(title), "score": .double(score)]
        object["passage_id"] = passage.map { .int($0) }
        object["page"] = page.map { .int($0) }
        return .object(object)
    }
}

extension Assistant {
    /// `first` speaks; if it fails, `second` finishes the turn, whatever had been said by then.
    static func failingOver(
        _ first: Assistant, to second: Assistant, report: @escaping @Sendable (any Error) -> Void
    ) -> Assistant {
        Assistant { question, voice in
            do {
                try await first.answer(question, voice)
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                try Task.checkCancellation()
                report(error)
                guard voice.sent.isEmpty else {
                    // Half a sentence is out already; another answer on top of it would confuse more than help.
                    voice.failed = true
                    voice.providers.append("offline")
                    return try await voice.say(" … I am sorry, I lost my thread. Could you please ask me that again?")
                }
                try await second.answer(question, voice)
            }
        }
    }
}
