import Shared

/// The course of one conversation, as a pure machine: what came in, in what state, and what is to be done.
///
/// It knows no socket, no database and no clock. `Conversation` performs the actions in the order given and reports
/// back what came of them. One value lives as long as one carrier socket; what an earlier socket of the same call left
/// behind comes in as `Memory`.
struct Dialogue: Sendable {
    /// What the database knows of this call when a socket opens.
    struct Memory: Sendable, Equatable {
        var greeting = ""
        var greeted = false
        /// A socket has served this call before, so the carrier's first prompt may repeat its last one.
        var resumed = false
        var paused = false
        /// The customer's last stored words.
        var lastWords: String?
        /// What was answered to them; nil when they are unanswered.
        var lastAnswer: String?
    }

    struct Utterance: Sendable, Equatable {
        var text: String
        var language: String?
        /// Typed on the keypad, not spoken.
        var keypad = false
    }

    enum Input: Sendable, Equatable {
        case setup
        case prompt(Utterance, last: Bool)
        case interrupt(heard: String)
        case digit(String)
        /// The pause after a digit was long enough: the number is complete.
        case keysPaused(Int)
        /// Nothing came after a reconnect.
        case silence
        /// The assistant has finished this turn's speech.
        case spoke(turn: Int, then: Next)
        /// A speech of ours is in the transcript under this number; an interrupt may still shorten it.
        case stored(speech: Int64)
        /// The last words were given time to be heard.
        case leave
        /// With the id of a manager's intervention.
        case command(Order, EventID? = nil)
        /// The socket is gone. `broken`: it tore, and the carrier may connect again; otherwise the caller hung up.
        case closed(broken: Bool)
    }

    /// What a turn ends in.
    enum Next: Sendable, Equatable {
        case listen
        case leave(Handoff)
    }

    /// What a manager, or another part of this program, asks of a live conversation.
    enum Order: Sendable, Equatable {
        case pause, resume
        case say(String, by: String?)
        case override(String)
        case end(reason: String?)
        case transfer(escalation: Int64?, words: String?)
        case handback
        case configure
    }

    enum Action: Sendable, Equatable {
        /// Speak the greeting and store it, marking the call as greeted.
        case greet(String)
        /// Store the customer's words; nobody answers now.
        case record(Utterance)
        /// Answer; `known` means the words are in the transcript already.
        case answer(turn: Int, Utterance, known: Bool)
        /// Let the assistant pass on a manager's message as a turn of its own.
        case relay(turn: Int, message: String, by: String?)
        /// Speak stored words again, storing nothing.
        case speakAgain(String)
        /// Speak these very words and store them.
        case say(String, by: String?)
        /// Remember a message for the assistant's next turn.
        case advise(String)
        case instruct(String)
        /// Follow the business configuration as it stands now, from the next turn on.
        case configure
        /// Stop the turn. Store what the caller heard of it: `heard`, or all that was sent when nil.
        case cut(turn: Int, heard: String?)
        /// Stop the turn and forget it: its prompt will come again on another socket.
        case drop(turn: Int)
        /// Cut what is still being spoken at the carrier's.
        case hush
        /// Shorten a stored speech to what the caller heard.
        case truncate(speech: Int64, heard: String)
        /// Start the keypad's pause; report `keysPaused` with this number when it is over.
        case awaitKeys(Int)
        case awaitWords
        /// Give the last words time to be heard, then report `leave`.
        case linger
        case end(Handoff)
    }

    private enum Phase: Equatable {
        case opening, listening
        case answering(Int)
        case leaving(Handoff)
        case over
    }

    private var phase: Phase = .opening
    private var memory: Memory
    private var turn = 0
    private var awaitsRepeat: Bool
    /// The words now being answered were an earlier socket's; their repetition is not a new prompt.
    private var resuming: String?
    private var unanswered: Utterance?
    /// What the turn under way answers.
    private var asked: Utterance?
    private var speech: Int64?
    private var keys = ""
    private var keyRound = 0
    private(set) var paused: Bool

    init(_ memory: Memory) {
        self.memory = memory
        paused = memory.paused
        awaitsRepeat = memory.resumed && memory.lastWords != nil
    }

    var isOver: Bool { phase == .over }

    mutating func apply(_ input: Input) -> [Action] {
        guard phase != .over else { return [] }
        switch input {
        case .setup: return open()
        case .prompt(let utterance, let last): return last ? hear(utterance) : []
        case .interrupt(let heard): return interrupt(heard)
        case .digit(let digit): return press(digit)
        case .keysPaused(let round): return round == keyRound ? enter() : []
        case .silence: return breakSilence()
        case .spoke(let number, let next): return finish(number, next)
        case .stored(let number):
            speech = number
            return []
        case .leave: return leave()
        case .command(let order, _): return obey(order)
        case .closed(let broken):
            defer { phase = .over }
            if broken, case .answering(let number) = phase { return [.drop(turn: number)] }
            return stop(heard: nil)
        }
    }
}

// MARK: - The caller

extension Dialogue {
    private mutating func open() -> [Action] {
        guard phase == .opening else { return [] }
        phase = .listening
        if !memory.greeted, !memory.greeting.isEmpty, !paused {
            memory.greeted = true
            return [.greet(memory.greeting)]
        }
        return awaitsRepeat && memory.lastAnswer == nil ? [.awaitWords] : []
    }

    private mutating func hear(_ spoken: Utterance) -> [Action] {
        var utterance = spoken
        utterance.text = trimmed(spoken.text)
        guard !utterance.text.isEmpty else { return [] }
        if phase == .opening { phase = .listening }
        // Whoever has begun to speak needs no greeting any more.
        memory.greeted = true

        let isRepeat = awaitsRepeat && utterance.text == memory.lastWords.map(trimmed)
        awaitsRepeat = false
        if isRepeat {
            // Prompts carry no id: the first one of a new socket with the last one's words is that one again.
            if resuming == utterance.text { return [] }
            if paused {
                if memory.lastAnswer == nil { unanswered = utterance }
                return []
            }
            if let answer = memory.lastAnswer { return [.speakAgain(answer)] }
            return begin(utterance, known: true)
        }
        resuming = nil
        switch phase {
        case .leaving(let handoff) where handoff.reason == .human:
            return [.record(utterance)]
        case .leaving:
            // They went on talking, so the conversation goes on.
            phase = .listening
        default:
            break
        }
        let stopped = stop(heard: nil)
        if paused {
            unanswered = utterance
            return stopped + [.record(utterance)]
        }
        return stopped + begin(utterance, known: false)
    }

    private mutating func begin(_ utterance: Utterance, known: Bool) -> [Action] {
        turn += 1
        speech = nil
        unanswered = nil
        asked = utterance
        phase = .answering(turn)
        return [.answer(turn: turn, utterance, known: known)]
    }

    private mutating func interrupt(_ heard: String) -> [Action] {
        if case .answering = phase { return stop(heard: heard) }
        guard let number = speech else { return [] }
        speech = nil
        return [.truncate(speech: number, heard: heard)]
    }

    private mutating func stop(heard: String?) -> [Action] {
        guard case .answering(let number) = phase else { return [] }
        phase = .listening
        return [.cut(turn: number, heard: heard)]
    }

    private mutating func press(_ digit: String) -> [Action] {
        guard phase != .opening else { return [] }
        // Zero by itself asks for a human, as on every other telephone system.
        if digit == "0", keys.isEmpty { return hear(Utterance(text: "0", keypad: true)) }
        if digit == "#" { return enter() }
        keyRound += 1
        if keys.utf8.count < Self.keysMax { keys += digit }
        return [.awaitKeys(keyRound)]
    }

    /// Longer than any card or account number; what comes after is noise.
    private static let keysMax = 40

    private mutating func enter() -> [Action] {
        guard !keys.isEmpty else { return [] }
        let typed = keys
        keys = ""
        keyRound += 1
        return hear(Utterance(text: typed, keypad: true))
    }

    /// The carrier did not repeat the prompt whose answer was lost with the old socket: answer it now.
    private mutating func breakSilence() -> [Action] {
        guard phase == .listening, awaitsRepeat, memory.lastAnswer == nil, let words = memory.lastWords else {
            return []
        }
        guard !paused else {
            unanswered = Utterance(text: trimmed(words))
            return []
        }
        resuming = trimmed(words)
        return begin(Utterance(text: trimmed(words)), known: true)
    }
}

// MARK: - The assistant

extension Dialogue {
    private mutating func finish(_ number: Int, _ next: Next) -> [Action] {
        guard phase == .answering(number) else { return [] }
        phase = .listening
        guard case .leave(let handoff) = next else { return [] }
        phase = .leaving(handoff)
        return [.linger]
    }

    private mutating func leave() -> [Action] {
        guard case .leaving(let handoff) = phase else { return [] }
        phase = .over
        return [.end(handoff)]
    }
}

// MARK: - The manager

extension Dialogue {
    private mutating func obey(_ order: Order) -> [Action] {
        switch order {
        case .pause:
            paused = true
            // Whoever was cut short, or had not begun, answers when they may speak again.
            if case .answering = phase { unanswered = asked }
            return stop(heard: nil) + [.hush]
        case .resume:
            guard paused else { return [] }
            paused = false
            if phase == .listening, !memory.greeted, !memory.greeting.isEmpty, unanswered == nil {
                memory.greeted = true
                return [.greet(memory.greeting)]
            }
            guard phase == .listening, let waiting = unanswered else { return [] }
            return begin(waiting, known: true)
        case .say(let message, let by):
            return pass(message, by)
        case .override(let text):
            return [.instruct(text)]
        case .configure: return [.configure]
        case .end:
            let stopped = stop(heard: nil)
            phase = .over
            return stopped + [.end(Handoff(.finished))]
        case .transfer(let escalation, let words):
            if case .leaving(let handoff) = phase, handoff.reason == .human { return [] }
            let stopped = stop(heard: nil)
            phase = .leaving(Handoff(.human, escalation: escalation))
            return stopped + (words.map { [.say($0, by: nil)] } ?? []) + [.linger]
        case .handback:
            guard case .leaving(let handoff) = phase, handoff.reason == .human else { return [] }
            phase = .listening
            return []
        }
    }

    /// A silenced AI lends the manager its voice; a speaking one is told, and says it in its own words.
    private mutating func pass(_ message: String, _ by: String?) -> [Action] {
        if paused {
            unanswered = nil
            return [.say(message, by: by)]
        }
        guard phase == .listening else { return [.advise(message)] }
        turn += 1
        speech = nil
        asked = nil
        phase = .answering(turn)
        return [.relay(turn: turn, message: message, by: by)]
    }
}
