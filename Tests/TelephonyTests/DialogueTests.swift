import Testing

@testable import Telephony

@Suite struct DialogueTests {
    private func fresh(_ memory: Dialogue.Memory = .init(greeting: "Hello!")) -> Dialogue { Dialogue(memory) }

    private func prompt(_ words: String, last: Bool = true) -> Dialogue.Input {
        .prompt(.init(text: words), last: last)
    }

    private func listening() -> Dialogue {
        var dialogue = fresh()
        _ = dialogue.apply(.setup)
        return dialogue
    }

    @Test func `the greeting is spoken on the first socket only`() {
        var first = fresh()
        #expect(first.apply(.setup) == [.greet("Hello!")])
        #expect(first.apply(.setup).isEmpty)
        var second = fresh(.init(greeting: "Hello!", greeted: true, resumed: true))
        #expect(second.apply(.setup).isEmpty)
        var silent = fresh(.init(greeting: "Hello!", paused: true))
        #expect(silent.apply(.setup).isEmpty)
    }

    @Test func `words are answered, partials and silence are not`() {
        var dialogue = listening()
        #expect(dialogue.apply(prompt("my ord", last: false)).isEmpty)
        #expect(dialogue.apply(prompt("   ")).isEmpty)
        #expect(dialogue.apply(prompt(" My order? ")) == [.answer(turn: 1, .init(text: "My order?"), known: false)])
        #expect(dialogue.apply(.spoke(turn: 1, then: .listen)).isEmpty)
        #expect(dialogue.apply(prompt("And now?")) == [.answer(turn: 2, .init(text: "And now?"), known: false)])
    }

    @Test func `an interrupt cuts the turn at what was heard`() {
        var dialogue = listening()
        _ = dialogue.apply(prompt("Tell me all"))
        #expect(dialogue.apply(.interrupt(heard: "We have")) == [.cut(turn: 1, heard: "We have")])
        #expect(dialogue.apply(.interrupt(heard: "We have")).isEmpty)
        #expect(dialogue.apply(.spoke(turn: 1, then: .listen)).isEmpty, "a turn that was cut says nothing more")
    }

    @Test func `an interrupt after the last token shortens what is stored, once`() {
        var dialogue = listening()
        _ = dialogue.apply(prompt("Tell me all"))
        _ = dialogue.apply(.spoke(turn: 1, then: .listen))
        _ = dialogue.apply(.stored(speech: 42))
        #expect(dialogue.apply(.interrupt(heard: "We")) == [.truncate(speech: 42, heard: "We")])
        #expect(dialogue.apply(.interrupt(heard: "We")).isEmpty)
    }

    @Test func `an interrupt cannot shorten the answer before the present one`() {
        var dialogue = listening()
        _ = dialogue.apply(.stored(speech: 1))
        _ = dialogue.apply(prompt("First"))
        #expect(dialogue.apply(.interrupt(heard: "")) == [.cut(turn: 1, heard: "")])
        #expect(dialogue.apply(.interrupt(heard: "")).isEmpty)
    }

    @Test func `words over words stop the answer and get their own`() {
        var dialogue = listening()
        _ = dialogue.apply(prompt("First"))
        #expect(
            dialogue.apply(prompt("Second"))
                == [.cut(turn: 1, heard: nil), .answer(turn: 2, .init(text: "Second"), known: false)])
    }

    // MARK: Reconnecting

    @Test func `the first prompt of a new socket may be the last one again`() {
        let asked = Dialogue.Memory(greeted: true, resumed: true, lastWords: "My order?", lastAnswer: nil)
        var unanswered = fresh(asked)
        #expect(unanswered.apply(.setup) == [.awaitWords])
        #expect(unanswered.apply(prompt("My order?")) == [.answer(turn: 1, .init(text: "My order?"), known: true)])

        var answered = fresh(
            .init(greeted: true, resumed: true, lastWords: "My order?", lastAnswer: "It is on its way."))
        #expect(answered.apply(.setup).isEmpty)
        #expect(answered.apply(prompt("My order?")) == [.speakAgain("It is on its way.")])
        #expect(
            answered.apply(prompt("My order?")) == [.answer(turn: 1, .init(text: "My order?"), known: false)],
            "only the first one can be a repetition")
    }

    @Test func `other words after a reconnect are a new utterance`() {
        var dialogue = fresh(.init(greeted: true, resumed: true, lastWords: "My order?", lastAnswer: nil))
        _ = dialogue.apply(.setup)
        #expect(dialogue.apply(prompt("Hello?")) == [.answer(turn: 1, .init(text: "Hello?"), known: false)])
        #expect(dialogue.apply(prompt("My order?")).last == .answer(turn: 2, .init(text: "My order?"), known: false))
    }

    @Test func `on the first socket the same words twice are two utterances`() {
        var dialogue = listening()
        _ = dialogue.apply(prompt("Yes"))
        _ = dialogue.apply(.spoke(turn: 1, then: .listen))
        #expect(dialogue.apply(prompt("Yes")) == [.answer(turn: 2, .init(text: "Yes"), known: false)])
    }

    @Test func `a prompt that is not repeated is answered after a silence, and its late repetition ignored`() {
        var dialogue = fresh(.init(greeted: true, resumed: true, lastWords: "My order?", lastAnswer: nil))
        _ = dialogue.apply(.setup)
        #expect(dialogue.apply(.silence) == [.answer(turn: 1, .init(text: "My order?"), known: true)])
        #expect(dialogue.apply(prompt("My order?")).isEmpty)
        #expect(dialogue.apply(.silence).isEmpty)
    }

    @Test func `a torn socket forgets the turn, a hang-up keeps what was heard`() {
        var torn = listening()
        _ = torn.apply(prompt("First"))
        #expect(torn.apply(.closed(broken: true)) == [.drop(turn: 1)])
        #expect(torn.isOver)
        var hungUp = listening()
        _ = hungUp.apply(prompt("First"))
        #expect(hungUp.apply(.closed(broken: false)) == [.cut(turn: 1, heard: nil)])
        #expect(hungUp.apply(prompt("Too late")).isEmpty)
    }

    // MARK: The keypad

    @Test func `zero asks for a human, a number is one utterance`() {
        var dialogue = listening()
        #expect(dialogue.apply(.digit("0")) == [.answer(turn: 1, .init(text: "0", keypad: true), known: false)])
        _ = dialogue.apply(.spoke(turn: 1, then: .listen))
        #expect(dialogue.apply(.digit("4")) == [.awaitKeys(1)])
        #expect(dialogue.apply(.digit("0")) == [.awaitKeys(2)])
        #expect(dialogue.apply(.keysPaused(1)).isEmpty, "another digit came after that pause began")
        #expect(dialogue.apply(.keysPaused(2)) == [.answer(turn: 2, .init(text: "40", keypad: true), known: false)])
        _ = dialogue.apply(.spoke(turn: 2, then: .listen))
        _ = dialogue.apply(.digit("7"))
        #expect(dialogue.apply(.digit("#")) == [.answer(turn: 3, .init(text: "7", keypad: true), known: false)])
        #expect(dialogue.apply(.digit("#")).isEmpty)
    }

    // MARK: Managers

    @Test func `what a pause cut short is answered when the AI may speak again, unless a manager has spoken`() {
        var dialogue = listening()
        _ = dialogue.apply(prompt("When do you open?"))
        #expect(dialogue.apply(.command(.pause)) == [.cut(turn: 1, heard: nil), .hush])
        #expect(
            dialogue.apply(.command(.resume)) == [.answer(turn: 2, .init(text: "When do you open?"), known: true)])
        _ = dialogue.apply(.command(.pause))
        _ = dialogue.apply(.command(.say("At nine.", by: "ann")))
        #expect(dialogue.apply(.command(.resume)).isEmpty)
    }

    @Test func `a paused AI listens, lends its voice, and answers when resumed`() {
        var dialogue = listening()
        _ = dialogue.apply(prompt("First"))
        #expect(dialogue.apply(.command(.pause)) == [.cut(turn: 1, heard: nil), .hush])
        #expect(dialogue.apply(prompt("Anybody?")) == [.record(.init(text: "Anybody?"))])
        #expect(dialogue.apply(.command(.resume)) == [.answer(turn: 2, .init(text: "Anybody?"), known: true)])
        _ = dialogue.apply(.spoke(turn: 2, then: .listen))
        _ = dialogue.apply(.command(.pause))
        _ = dialogue.apply(prompt("Anybody?"))
        #expect(dialogue.apply(.command(.say("This is Ann.", by: "u"))) == [.say("This is Ann.", by: "u")])
        #expect(dialogue.apply(.command(.resume)).isEmpty, "the manager has answered")
    }

    @Test func `a paused AI says nothing by itself, whatever happens, and makes up for it when resumed`() {
        // What has been answered is not said again to a line that came back.
        var answered = Dialogue(
            .init(greeting: "Hello", greeted: true, resumed: true, paused: true, lastWords: "Open?", lastAnswer: "Yes.")
        )
        #expect(answered.apply(.setup).isEmpty)
        #expect(answered.apply(prompt("Open?")).isEmpty)
        #expect(answered.apply(.command(.resume)).isEmpty)
        // What has not been is answered then, repeated or not.
        for input in [prompt("Open?"), .silence] {
            var waiting = Dialogue(
                .init(greeting: "Hello", greeted: true, resumed: true, paused: true, lastWords: "Open?"))
            _ = waiting.apply(.setup)
            #expect(waiting.apply(input).isEmpty)
            #expect(waiting.apply(.command(.resume)) == [.answer(turn: 1, .init(text: "Open?"), known: true)])
        }
        // So is the greeting.
        var new = Dialogue(.init(greeting: "Hello", paused: true))
        #expect(new.apply(.setup).isEmpty)
        #expect(new.apply(.command(.resume)) == [.greet("Hello")])
        #expect(new.apply(.command(.resume)).isEmpty)
    }

    @Test func `a whisper is passed on at once when nobody speaks, with the next words otherwise`() {
        var dialogue = listening()
        #expect(
            dialogue.apply(.command(.say("Offer 10 %", by: "u"))) == [.relay(turn: 1, message: "Offer 10 %", by: "u")])
        #expect(dialogue.apply(.command(.say("And free shipping", by: nil))) == [.advise("And free shipping")])
        #expect(dialogue.apply(.command(.override("Be brief"))) == [.instruct("Be brief")])
    }

    @Test func `a transfer says so, waits until it was heard, and lets go`() {
        var dialogue = listening()
        _ = dialogue.apply(prompt("First"))
        #expect(
            dialogue.apply(.command(.transfer(escalation: 7, words: "One moment.")))
                == [.cut(turn: 1, heard: nil), .say("One moment.", by: nil), .linger])
        #expect(dialogue.apply(prompt("Wait")) == [.record(.init(text: "Wait"))])
        #expect(dialogue.apply(.leave) == [.end(Handoff(.human, escalation: 7))])
        #expect(dialogue.isOver)
    }

    @Test func `a transfer may be taken back before the caller has gone`() {
        var dialogue = listening()
        _ = dialogue.apply(.command(.transfer(escalation: 7, words: nil)))
        #expect(dialogue.apply(.command(.handback)).isEmpty)
        #expect(dialogue.apply(.leave).isEmpty)
        #expect(!dialogue.isOver)
    }

    @Test func `a goodbye is final unless the caller goes on talking`() {
        var quiet = listening()
        _ = quiet.apply(prompt("Bye"))
        #expect(quiet.apply(.spoke(turn: 1, then: .leave(Handoff(.finished)))) == [.linger])
        #expect(quiet.apply(.leave) == [.end(Handoff(.finished))])
        var talkative = listening()
        _ = talkative.apply(prompt("Bye"))
        _ = talkative.apply(.spoke(turn: 1, then: .leave(Handoff(.finished))))
        #expect(talkative.apply(prompt("Oh, and")) == [.answer(turn: 2, .init(text: "Oh, and"), known: false)])
        #expect(talkative.apply(.leave).isEmpty)
    }

    @Test func `ending stops everything`() {
        var dialogue = listening()
        _ = dialogue.apply(prompt("First"))
        #expect(
            dialogue.apply(.command(.end(reason: nil))) == [.cut(turn: 1, heard: nil), .end(Handoff(.finished))])
        #expect(dialogue.apply(prompt("Hello?")).isEmpty)
    }
}

@Suite struct HeardTests {
    @Test(arguments: [
        ("We open at nine.", "", ""),
        ("We open at nine.", "We open", "We open"),
        ("We open at nine.", "we OPEN,", "We open"),
        ("We open  at nine.", "We open at nine", "We open  at nine."),
        ("Hello there. We open at nine.", "We open", "Hello there. We open"),
        ("We open at nine.", "quite different", "quite different"),
        ("Hi.", "something much longer than what we ever said to anybody", "Hi."),
    ])
    func `what the caller heard is a part of what was said`(said: String, heard: String, kept: String) {
        #expect(Heard.cut(said, at: heard) == kept)
    }
}
