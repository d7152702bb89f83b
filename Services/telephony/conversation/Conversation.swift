import HTTP
import Postgres
import Runtime
import Shared

/// One live conversation: performs what `Dialogue` decides, on the loop that accepted the carrier's socket.
///
/// A loop takes inputs one by one from an inbox: what the carrier sends, what managers order, what the running turn
/// reports. Everything that must be in order (the transcript above all) happens in that loop; only listening to the
/// socket, looking up knowledge and speaking an answer run beside it, so that an interrupt is heard at once.
///
/// `@unchecked Sendable`: created, used and finished on that one loop; `LiveCalls` reaches it by hopping there.
final class Conversation: @unchecked Sendable {
    let telephony: Telephony
    let socket: WebSocket
    let call: CallID
    let ref: CallRef
    let loop = EventLoop.required()
    let inbox = AsyncQueue<Dialogue.Input>(max: Conversation.inboxMax)
    let log: Log
    let transcript: Transcript
    var opening: Opening
    var dialogue: Dialogue
    var profile: Profile
    var history: [Question.Line]
    var failures: Int
    var round = 0
    var turn: Turn?
    /// Managers' messages for the assistant's next turn.
    var advice: [String] = []
    /// The text of the last stored speech, to be cut if the caller interrupts it.
    var lastSpeech = ""
    /// Its place in the transcript.
    var lastSpeechNumber: Int64?
    /// By when all that was sent will have been spoken, at the pace people speak.
    var soundsUntil = ContinuousClock.now
    /// The speech under way is cut by us, not by the caller: nobody will tell what was heard of it.
    var isHushing = false
    /// When the carrier's last prompt reached us.
    var heardAt = ContinuousClock.now
    /// An escalation is open and a human on the way or awaited: triggers have nothing more to say.
    var isEscalated: Bool
    /// This conversation has reserved a human itself and will let the caller go when it has said so.
    var handsOver = false

    /// Far more than a caller can say or press while one utterance is stored.
    private static let inboxMax = 256
    private static let setupWithin = Duration.seconds(10)

    // MARK: Life

    /// Serves one socket until it closes.
    static func serve(_ socket: WebSocket, call: CallID, in telephony: Telephony) async {
        let loop = EventLoop.required()
        // A task of its own: a server that stops must not cancel a write to the transcript.
        await loop.spawn("conversation") {
            do {
                guard let opening = try await open(socket, call, telephony) else {
                    return socket.close(.policyViolation, reason: "the call is over")
                }
                await Conversation(socket, opening, telephony).run()
            } catch {
                telephony.log.warn("relay.refused", ("call", "\(call.text)"), ("error", "\(error)"))
                socket.close(.internalError, reason: "not now")
            }
        }.value
    }

    /// Reads `setup`, which every session starts with, and makes this socket the call's newest.
    private static func open(_ socket: WebSocket, _ call: CallID, _ telephony: Telephony) async throws -> Opening? {
        let sid = try await withDeadline(setupWithin) { () -> String? in
            while let message = try await socket.receive() {
                guard case .text(let text) = message, case .setup(let setup)? = try? RelayMessage.decode(text) else {
                    continue
                }
                return setup.sid
            }
            throw CancellationError()
        }
        // A database that restarts costs a second of silence, not the call.
        return try await Retry(attempts: 5, first: .milliseconds(100), longest: .seconds(1)) {
            try await ConversationStore.open(call, sid: sid, at: .now(), in: telephony.database)
        }
    }

    private init(_ socket: WebSocket, _ opening: Opening, _ telephony: Telephony) {
        self.telephony = telephony
        self.socket = socket
        self.opening = opening
        call = opening.call.id
        ref = opening.call.ref
        profile = opening.profile
        history = opening.lines
        failures = opening.failures
        isEscalated = opening.call.escalationStatus != nil && opening.call.escalationStatus != .completed
        log = telephony.log.child(("call_id", "\(opening.call.id.text)"), ("epoch", .int(Int64(opening.epoch))))
        transcript = Transcript(telephony.database, opening.call.ref, epoch: opening.epoch, log: log)
        dialogue = Dialogue(Self.memory(opening))
    }

    private static func memory(_ opening: Opening) -> Dialogue.Memory {
        var memory = Dialogue.Memory(
            greeting: opening.greeting, greeted: opening.greeted, resumed: opening.epoch > 1,
            paused: opening.call.paused)
        guard let last = opening.lines.lastIndex(where: { $0.speaker == .customer }) else { return memory }
        memory.lastWords = opening.lines[last].text
        let answers = opening.lines[(last + 1)...].map(\.text).filter { !$0.isEmpty }
        memory.lastAnswer = answers.isEmpty ? nil : answers.joined(separator: " ")
        return memory
    }

    private func run() async {
        let (socket, loop) = (socket, loop)
        telephony.live.add(
            LiveCalls.Handle(
                epoch: opening.epoch, order: { order, id in loop.execute { self.take(order, id) } },
                close: { away in
                    loop.execute {
                        socket.close(away ? .goingAway : .normal, reason: away ? "restarting" : "superseded")
                    }
                }), for: call)
        let reader = loop.spawn("relay reader") { await self.read() }
        log.info("conversation.opened")
        do {
            await take(.setup)
            await catchUp()
            if opening.call.handedOff {
                // Somebody reserved a human while no socket was open.
                await take(.command(.transfer(escalation: nil, words: LiveCalls.transferWords)))
            }
            while !dialogue.isOver, !transcript.isSuperseded, let input = try await inbox.next() { await take(input) }
        } catch {
            // Only a cancelled task gets here, and this one is cancelled by nobody.
            log.warn("conversation.stopped", ("error", "\(error)"))
        }
        await finish(reader)
        log.info("conversation.closed")
    }

    private func finish(_ reader: Task<Void, Never>) async {
        if let turn { await stop(turn) }
        telephony.live.remove(call, epoch: opening.epoch)
        await transcript.drain()
        // The carrier closes after `end`; one that does not is closed.
        let timer = loop.after(.seconds(2)) { [socket] in socket.close(.normal) }
        if transcript.isSuperseded { socket.close(.normal, reason: "superseded") }
        inbox.finish()
        await reader.value
        timer.cancel()
    }

    private func read() async {
        do {
            while let message = try await socket.receive() {
                guard case .text(let text) = message, let input = read(text) else { continue }
                try await inbox.push(input)
            }
        } catch {
            // The conversation has ended and takes nothing more; or the socket tore, as its close code says.
        }
        let ended = socket.closeCode == .normal || socket.closeCode == .noStatus
        _ = inbox.tryPush(.closed(broken: !ended))
    }

    private func read(_ text: String) -> Dialogue.Input? {
        do throws(RelayMessage.Unreadable) {
            return input(try RelayMessage.decode(text))
        } catch {
            log.warn("relay.unreadable", ("error", "\(error)"))
            return nil
        }
    }

    private func input(_ message: RelayMessage.Inbound) -> Dialogue.Input? {
        switch message {
        case .setup: return nil
        case .prompt(let words, let language, let last):
            heardAt = .now
            return .prompt(Dialogue.Utterance(text: words, language: language), last: last)
        case .interrupt(let heard, _): return .interrupt(heard: heard)
        case .digit(let digit):
            heardAt = .now
            return .digit(digit)
        case .failure(let description):
            log.warn("relay.error", ("description", "\(description)"))
            return nil
        case .information, .unknown: return nil
        }
    }

    /// What managers ordered while no socket was open. What lasts came with the call.
    private func catchUp() async {
        for order in opening.orders {
            telephony.live.taken(order.id)
            guard order.action == .say, let message = order.message else { continue }
            await take(.command(.say(message, by: order.by?.text)))
        }
    }

    /// A command from outside. The order to transfer that our own escalation sent round is no news.
    private func take(_ order: Dialogue.Order, _ id: EventID?) {
        if handsOver, case .transfer = order { return }
        if case .handback = order { (isEscalated, handsOver) = (false, false) }
        if !inbox.tryPush(.command(order, id)) { log.warn("conversation.command_dropped") }
    }

    // MARK: Inputs and actions

    private func take(_ input: Dialogue.Input) async {
        if case .spoke(let number, _) = input { await settle(number) }
        if case .command(_, let id?) = input, await !claim(id) { return }
        let actions = dialogue.apply(input)
        isHushing = actions.contains(.hush)
        for action in actions { await perform(action) }
        isHushing = false
    }

    /// Takes a manager's intervention, so that who waits for it is told, or learns that it is not ours to take.
    private func claim(_ id: EventID) async -> Bool {
        do {
            let (call, epoch) = (call, opening.epoch)
            let isOurs = try await telephony.database.transaction { (tx: borrowing Transaction) in
                try await InterventionStore.take(id, of: call, epoch: epoch, tx)
            }
            if isOurs { telephony.live.taken(id) }
            return isOurs
        } catch {
            log.warn("intervention.not_taken", ("error", "\(error)"))
            return false
        }
    }

    private func perform(_ action: Dialogue.Action) async {
        switch action {
        case .greet(let text): await speak(text, metadata: ["greeting": true], greets: true)
        case .record(let utterance): await record(utterance)
        case .answer(let number, let utterance, let known): await begin(number, utterance, known: known)
        case .relay(let number, let message, let by): pass(number, message, by)
        case .speakAgain(let text): send(text, preemptible: true)
        case .hush: await hush()
        case .say(let text, let by): await speak(text, metadata: by.map { ["by": .string($0)] } ?? [:], greets: false)
        case .advise(let message): advice.append(message)
        case .instruct(let text): profile.override = text
        case .configure: await configure()
        case .cut(let number, let heard): await cut(number, heard: heard)
        case .drop(let number): await drop(number)
        case .truncate(let speech, let heard): await truncate(speech, heard: heard)
        case .awaitKeys(let number): later(.milliseconds(2000), .keysPaused(number))
        case .awaitWords: later(.seconds(3), .silence)
        case .linger: later(lingering(lastSpeech), .leave)
        case .end(let handoff): _ = socket.send(text: RelayMessage.encode(.end(handoff: handoff.text)))
        }
    }

    /// The configuration has changed during the call. What a manager ordered for this call stays.
    private func configure() async {
        do {
            var (renewed, _) = try await ConversationStore.profile(of: opening.call, in: telephony.database)
            renewed.override = profile.override
            profile = renewed
            log.info("conversation.configured")
        } catch {
            log.warn("conversation.not_configured", ("error", "\(error)"))
        }
    }

    private func later(_ delay: Duration, _ input: Dialogue.Input) {
        let inputs = Inputs(inbox)
        _ = loop.after(delay) { _ = inputs.queue.tryPush(input) }
    }

    /// How long these words take to be heard: `end` would cut them off.
    private func lingering(_ words: String) -> Duration {
        let policy = telephony.policy
        guard policy.charactersPerSecond > 0 else { return policy.lingerLeast }
        let seconds = min(Double(words.count) / policy.charactersPerSecond, 20)
        return max(policy.lingerLeast, .milliseconds(Int(seconds * 1000)))
    }

    // MARK: Speaking and storing without a turn

    private func send(_ text: String, preemptible: Bool) {
        sounds(text)
        _ = socket.send(text: RelayMessage.encode(.text(text, last: true, language: nil, preemptible: preemptible)))
    }

    /// These words are on their way to the caller.
    func sounds(_ words: String) {
        let rate = telephony.policy.charactersPerSecond
        guard rate > 0 else { return }
        soundsUntil = max(soundsUntil, .now) + .milliseconds(Int(Double(words.count) / rate * 1000))
    }

    /// What of this speech, the last one sent, has been spoken by now.
    func spoken(_ speech: String) -> String {
        let rest = ContinuousClock.now.duration(to: soundsUntil).inSeconds * telephony.policy.charactersPerSecond
        guard rest >= 1 else { return speech }
        let heard = speech.prefix(max(0, speech.count - Int(rest)))
        // The word being spoken is cut too.
        return trimmed(heard[..<(heard.lastIndex(where: \.isWhitespace) ?? heard.startIndex)])
    }

    /// Silences the carrier, and lets the transcript end where the caller heard it end.
    private func hush() async {
        _ = socket.send(text: RelayMessage.encode(RelayMessage.hush))
        let heard = spoken(lastSpeech)
        soundsUntil = .now
        guard heard != lastSpeech, let number = lastSpeechNumber else { return }
        await truncate(number, to: heard)
    }

    private func speak(_ text: String, metadata: JSONObject, greets: Bool) async {
        let at = Instant.now()
        // A greeting is the AI's to be cut; what a manager says, or an announcement, is said to its end.
        send(text, preemptible: greets)
        await store(Utterance(speaker: .ai, text: text, at: at, metadata: metadata, greets: greets))
    }

    /// Puts a speech of ours into the transcript and lets an interrupt find it there.
    func store(_ speech: Utterance) async {
        remember(speech)
        await keep(speech)
    }

    func remember(_ speech: Utterance) {
        history.append(Question.Line(speaker: speech.speaker, text: speech.text))
        if speech.speaker == .ai { (lastSpeech, lastSpeechNumber) = (speech.text, nil) }
    }

    func keep(_ speech: Utterance) async {
        guard let number = await transcript.store(speech, failures: failures), speech.speaker == .ai else { return }
        lastSpeechNumber = number
        _ = dialogue.apply(.stored(speech: number))
    }

    func record(_ utterance: Dialogue.Utterance) async { await store(heard(utterance)) }

    func heard(_ utterance: Dialogue.Utterance) -> Utterance {
        var metadata: JSONObject = [:]
        if let language = utterance.language { metadata["lang"] = .string(language) }
        if utterance.keypad { metadata["dtmf"] = true }
        return Utterance(speaker: .customer, text: utterance.text, at: .now(), metadata: metadata)
    }

    private func truncate(_ speech: Int64, heard: String) async {
        soundsUntil = .now
        await truncate(speech, to: Heard.cut(lastSpeech, at: heard))
    }

    private func truncate(_ speech: Int64, to text: String) async {
        lastSpeech = text
        if let last = history.lastIndex(where: { $0.speaker == .ai }) {
            history[last] = Question.Line(speaker: .ai, text: text)
        }
        await transcript.truncate(speech, to: text)
    }
}

/// Lets a closure that runs on the conversation's loop hold its queue.
///
/// `@unchecked Sendable`: only ever used inside `loop.execute` or a timer of that loop.
private struct Inputs: @unchecked Sendable {
    let queue: AsyncQueue<Dialogue.Input>
    init(_ queue: AsyncQueue<Dialogue.Input>) { self.queue = queue }
}
