import HTTP
import Postgres
import Runtime
import Shared

/// One turn of the AI: from the customer's words to the last token of the answer.
///
/// Lives on its conversation's loop, like everything it touches.
final class Turn {
    let number: Int
    let words: String
    let voice: TurnVoice
    /// When the prompt reached us.
    let began: ContinuousClock.Instant
    var passages: [Passage] = []
    var search: Task<Void, Never>?
    var task: Task<Void, Never>?
    /// Who speaks instead of the assistant, when something else is to be said.
    var script: String?
    var advice: [String] = []
    var by: String?
    var next: Dialogue.Next = .listen
    var assistantBegan: ContinuousClock.Instant?
    var knowledgeTook: Duration?
    var firstToken: ContinuousClock.Instant?
    var ended: ContinuousClock.Instant?
    /// The customer's words are in the transcript: from now on the turn may be heard.
    private(set) var isStored = false
    private let stored = Signal()

    init(_ number: Int, words: String, began: ContinuousClock.Instant, voice: TurnVoice) {
        self.number = number
        self.words = words
        self.began = began
        self.voice = voice
    }

    func storedWords() {
        isStored = true
        stored.fire()
    }

    /// Returns when the turn may be heard and may act. Until then it may think.
    func mayBeHeard() async throws {
        while !isStored { try await stored.wait() }
    }
}

/// The caller cannot be reached any more.
struct SocketGone: Error {}

extension Conversation {
    private static let overhead = Metrics.shared.histogram(
        "telephony_turn_overhead_seconds", "Prompt in to assistant asked: what this program adds to a turn.",
        buckets: Histogram.seconds)
    private static let first = Metrics.shared.histogram(
        "telephony_first_token_seconds", "Prompt in to first token out.", buckets: Histogram.seconds)

    // MARK: Beginning

    /// Stores the words, looks things up and asks the assistant, all at the same time. Nothing of the answer is heard, and
    /// no tool does anything, before the words are stored: if we die until then, the carrier's repetition finds nothing
    /// said and nothing done. Only words that call for a human wait for their place first.
    func begin(_ number: Int, _ utterance: Dialogue.Utterance, known: Bool) async {
        let turn = makeTurn(number, utterance.text)
        turn.advice = advice
        advice = []
        self.turn = turn
        // Whoever speaks hears nothing any more: the carrier stops when the caller begins.
        soundsUntil = .now
        round += 1
        var words: Utterance?
        if !known {
            let said = heard(utterance)
            remember(said)
            words = said
        } else if history.last(where: { $0.speaker == .customer })?.text != utterance.text {
            history.append(Question.Line(speaker: .customer, text: utterance.text))
        }
        lookUp(for: turn)
        let fired = trigger(by: turn.words)
        if fired == nil { start(turn, keypad: utterance.keypad) }
        if let words { await keep(words) }
        guard !transcript.isSuperseded else { return }
        if let fired {
            await pull(fired, for: turn)
            start(turn, keypad: utterance.keypad)
        }
        turn.storedWords()
    }

    /// A manager's message, passed on as a turn of its own.
    func pass(_ number: Int, _ message: String, _ by: String?) {
        heardAt = .now
        let turn = makeTurn(number, "")
        turn.advice = advice + [message]
        turn.by = by
        advice = []
        self.turn = turn
        // Nobody has cut in: what the AI is just saying is said to its end first.
        let holder = Holder(turn)
        _ = loop.after(max(.zero, ContinuousClock.now.duration(to: soundsUntil))) { holder.turn.storedWords() }
        start(turn, keypad: false)
    }

    private func makeTurn(_ number: Int, _ words: String) -> Turn {
        let voice = TurnVoice(
            send: { [weak self] token in
                guard let self,
                    self.socket.send(
                        text: RelayMessage.encode(.text(token, last: false, language: nil, preemptible: true)))
                else { throw SocketGone() }
                self.sounds(token)
                if let turn = self.turn, turn.number == number, turn.firstToken == nil { turn.firstToken = .now }
            },
            perform: { [weak self] tool in
                guard let self else { throw SocketGone() }
                return try await self.use(tool, in: number)
            },
            ready: { [weak self] in
                if let turn = self?.turn, turn.number == number { try await turn.mayBeHeard() }
            })
        return Turn(number, words: words, began: heardAt, voice: voice)
    }

    private func lookUp(for turn: Turn) {
        guard profile.usesKnowledge, Phrases.meaning(of: turn.words) == nil else { return }
        let holder = Holder(turn)
        turn.search = loop.spawn("knowledge") { [self] in
            let began = ContinuousClock.now
            holder.turn.passages = await find(holder.turn.words)
            holder.turn.knowledgeTook = began.duration(to: .now)
        }
    }

    /// What the knowledge base says, or nothing when it does not answer in time: the caller is waiting.
    private func find(_ words: String) async -> [Passage] {
        let (telephony, ref, limit, least) = (telephony, ref, profile.passagesMax, profile.similarityLeast)
        do {
            let found = try await withDeadline(telephony.policy.knowledgeWithin) {
                try await telephony.knowledge.find(words, ref, limit)
            }
            return found.filter { $0.score >= least }
        } catch {
            log.warn("knowledge.unanswered", ("error", "\(error)"))
            return []
        }
    }

    private func start(_ turn: Turn, keypad: Bool) {
        let holder = Holder(turn)
        turn.task = loop.spawn("turn") { [self] in await answer(holder.turn, keypad: keypad) }
    }

    // MARK: Answering

    private func answer(_ turn: Turn, keypad: Bool) async {
        do {
            if let script = turn.script {
                try await turn.voice.say(script)
            } else {
                await turn.search?.value
                try Task.checkCancellation()
                turn.assistantBegan = .now
                Self.overhead.observe(turn.began.duration(to: .now))
                try await telephony.assistant.answer(question(turn, keypad: keypad), turn.voice)
                try await turn.mayBeHeard()
                try await judge(turn)
            }
        } catch is CancellationError {
            return
        } catch is SocketGone {
            return
        } catch {
            log.error("turn.failed", ("error", "\(error)"))
            turn.voice.failed = true
            if turn.voice.sent.isEmpty {
                try? await turn.voice.say("I am sorry, something went wrong. Could you please say that again?")
            }
        }
        turn.ended = .now
        if let first = turn.firstToken { Self.first.observe(turn.began.duration(to: first)) }
        try? await inbox.push(.spoke(turn: turn.number, then: turn.next))
    }

    private func question(_ turn: Turn, keypad: Bool) -> Question {
        var earlier = history
        if !turn.words.isEmpty, earlier.last?.speaker == .customer { earlier.removeLast() }
        return Question(
            words: turn.words, keypad: keypad, advice: turn.advice, history: earlier, passages: turn.passages,
            profile: profile, round: round, failures: failures)
    }

    /// Counts what went wrong, and calls for a human when it was too much.
    private func judge(_ turn: Turn) async throws {
        guard !turn.words.isEmpty, turn.voice.calls.isEmpty else { return }
        let asks = Phrases.meaning(of: turn.words) == nil
        if asks, turn.voice.confidence == nil, profile.usesKnowledge {
            turn.voice.confidence = OfflineResponder.extract(turn.words, from: turn.passages)?.coverage ?? 0
        }
        failures = turn.voice.failed ? failures + 1 : 0
        guard !isEscalated else { return }
        let confidence = asks ? turn.voice.confidence : nil
        guard let fired = profile.triggers.fired(failures: failures, confidence: confidence) else { return }
        let opened = try await escalate(fired.kind.rawValue, fired.details, fired.wish)
        guard case .reserved(let escalation) = opened else { return }
        turn.next = .leave(Handoff(.human, escalation: escalation.id, summary: escalation.summary))
        try await turn.voice.say(" " + Self.connecting(escalation))
    }

    static func connecting(_ escalation: Escalation) -> String {
        "I am connecting you with \(escalation.agentName ?? "a colleague") now. Please stay on the line."
    }

    // MARK: Ending

    /// The turn has said everything: what it said goes into the transcript, and only then is the speech closed. If we
    /// die in between, the carrier sees an unfinished answer and asks again.
    func settle(_ number: Int) async {
        guard let turn, turn.number == number else { return }
        await turn.task?.value
        self.turn = nil
        await store(turn, heard: nil, interrupted: false)
        closeSpeech()
    }

    private func closeSpeech() {
        _ = socket.send(text: RelayMessage.encode(.text("", last: true, language: nil)))
    }

    /// The caller cut in: only what they heard counts.
    func cut(_ number: Int, heard: String?) async {
        guard let turn, turn.number == number else { return }
        await stop(turn)
        self.turn = nil
        if turn.voice.sent.isEmpty {
            // What a manager wanted said is still to be said.
            advice = turn.advice + advice
        } else {
            closeSpeech()
        }
        await store(turn, heard: heard, interrupted: true)
        // Interrupted while being told about the human: the human comes all the same.
        if case .leave(let handoff) = turn.next, handoff.reason == .human {
            _ = inbox.tryPush(.command(.transfer(escalation: handoff.escalation, words: nil)))
        }
    }

    func drop(_ number: Int) async {
        guard let turn, turn.number == number else { return }
        await stop(turn)
        self.turn = nil
    }

    func stop(_ turn: Turn) async {
        turn.search?.cancel()
        turn.task?.cancel()
        await turn.search?.value
        await turn.task?.value
    }

    private func store(_ turn: Turn, heard: String?, interrupted: Bool) async {
        let sent = trimmed(turn.voice.sent)
        let text = heard.map { Heard.cut(sent, at: $0) } ?? (isHushing ? spoken(sent) : sent)
        if interrupted { soundsUntil = .now }
        guard !text.isEmpty else { return }
        let at = turn.voice.firstToken ?? .now()
        await store(Utterance(speaker: .ai, text: text, at: at, metadata: metadata(turn, interrupted)))
    }

    private func metadata(_ turn: Turn, _ interrupted: Bool) -> JSONObject {
        var latency: JSONObject = [:]
        func note(_ name: String, _ moment: ContinuousClock.Instant?) {
            guard let moment else { return }
            latency[name] = .double(
                Double(turn.began.duration(to: moment).components.attoseconds / 1_000_000_000_000) / 1000
                    + Double(turn.began.duration(to: moment).components.seconds) * 1000)
        }
        note("assistant_asked", turn.assistantBegan)
        note("first_token", turn.firstToken)
        note("last_token", turn.ended ?? .now)
        var metadata: JSONObject = ["latency_ms": .object(latency)]
        let citations = turn.voice.citations
        if !citations.isEmpty {
            metadata["citations"] = .array(citations.map(\.json))
        }
        if let confidence = turn.voice.confidence { metadata["confidence"] = .double(confidence) }
        if let provider = turn.voice.providers.last { metadata["provider"] = .string(provider) }
        if let by = turn.by { metadata["by"] = .string(by) }
        if let language = profile.language { metadata["lang"] = .string(language) }
        if interrupted { metadata["interrupted"] = true }
        return metadata
    }
}

/// Lets a task on the turn's own loop hold it.
///
/// `@unchecked Sendable`: the task runs on the loop the turn lives on.
private struct Holder: @unchecked Sendable {
    let turn: Turn
    init(_ turn: Turn) { self.turn = turn }
}
