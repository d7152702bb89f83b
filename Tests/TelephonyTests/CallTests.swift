import Shared
import TestSupport
import Testing

@testable import Telephony

@Suite struct CallTests {
    static let start = Instant(seconds: 1_800_000_000)

    static func call(_ direction: CallDirection = .outbound, _ status: CallStatus = .initiated) -> Call {
        Call(
            id: CallID(), workspace: WorkspaceID(), sid: "CA1", direction: direction, status: status,
            from: "+14155550100", to: "+14155550199", startedAt: start, createdAt: start, updatedAt: start,
            metadata: [:])
    }

    static func report(_ state: CarrierState, after seconds: Int64, lasted: Int64? = nil) -> CarrierReport {
        CarrierReport(sid: "CA1", state: state, at: start + .seconds(seconds), durationSeconds: lasted)
    }

    @Test(arguments: [
        (CarrierState.queued, CallStatus.initiated), (.initiated, .initiated), (.ringing, .ringing),
        (.inProgress, .inProgress), (.completed, .completed), (.busy, .failed), (.noAnswer, .failed),
        (.canceled, .failed), (.failed, .failed),
    ])
    func `each state of the carrier becomes one of ours`(state: CarrierState, status: CallStatus) {
        var call = Self.call()
        _ = call.apply(Self.report(state, after: 1))
        #expect(call.status == status)
        #expect(call.failureReason == (status == .failed ? state.rawValue : nil))
        #expect((call.endedAt != nil) == status.isTerminal)
    }

    @Test func `a report that tells nothing new changes nothing`() {
        var call = Self.call()
        #expect(call.apply(Self.report(.ringing, after: 1)) == [.moved(from: .initiated)])
        let before = call
        #expect(call.apply(Self.report(.ringing, after: 2)).isEmpty)
        #expect(call.apply(Self.report(.initiated, after: 3)).isEmpty)
        #expect(call == before)
    }

    @Test func `a call that has ended never moves again`() {
        for end in [CarrierState.completed, .busy, .noAnswer, .canceled, .failed] {
            var call = Self.call()
            #expect(call.apply(Self.report(end, after: 5, lasted: 3)).contains(.ended))
            let over = call
            for late in CarrierState.allCases { #expect(call.apply(Self.report(late, after: 9, lasted: 8)).isEmpty) }
            #expect(call.escalate(at: Self.start).isEmpty)
            #expect(call.handBack(at: Self.start).isEmpty)
            #expect(call.end(at: Self.start).isEmpty)
            #expect(call.fail("x", at: Self.start).isEmpty)
            #expect(call == over)
        }
    }

    @Test(arguments: 0..<200)
    func `callbacks in any order, late and doubled, end in the same call`(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let reports = [
            Self.report(.initiated, after: 0), Self.report(.ringing, after: 1), Self.report(.inProgress, after: 4),
            Self.report(.completed, after: 64, lasted: 60),
        ]
        var call = Self.call()
        var ends = 0
        let doubled = (reports + reports + [reports[Int.random(in: 0..<4, using: &random)]]).shuffled(using: &random)
        for report in doubled where call.apply(report).contains(.ended) { ends += 1 }
        #expect(ends == 1, "seed \(seed)")
        #expect(call.status == .completed)
        #expect(call.durationSeconds == 60)
        #expect(call.endedAt == Self.start + .seconds(64))
        #expect(call.failureReason == nil)
    }

    @Test func `an escalated call is not pulled back by the carrier and ends as completed`() {
        var call = Self.call(.inbound, .inProgress)
        #expect(call.escalate(at: Self.start + .seconds(5)) == [.moved(from: .inProgress)])
        #expect(call.apply(Self.report(.inProgress, after: 6)).isEmpty)
        #expect(call.status == .escalated)
        #expect(call.apply(Self.report(.completed, after: 30, lasted: 30)) == [.moved(from: .escalated), .ended])
        #expect(call.status == .completed)
    }

    @Test func `handing back is the one way a live call goes back`() {
        var call = Self.call(.inbound, .inProgress)
        #expect(call.handBack(at: Self.start).isEmpty)
        _ = call.escalate(at: Self.start)
        call.handedOff = true
        #expect(call.handBack(at: Self.start) == [.moved(from: .escalated)])
        #expect(call.status == .inProgress)
        #expect(!call.handedOff)
    }

    @Test func `without the carrier's count the time since the answer counts`() {
        var call = Self.call(.inbound, .ringing)
        _ = call.apply(Self.report(.inProgress, after: 10))
        _ = call.end(at: Self.start + .seconds(25))
        #expect(call.durationSeconds == 15)
        var unanswered = Self.call()
        _ = unanswered.end(at: Self.start + .seconds(25))
        #expect(unanswered.durationSeconds == 0)
    }

    @Test func `a conversation that was cut off did not fail`() {
        var call = Self.call()
        _ = call.apply(Self.report(.inProgress, after: 2))
        _ = call.apply(Self.report(.failed, after: 12))
        #expect(call.status == .completed)
        #expect(call.durationSeconds == 10)
    }

    @Test func `nobody answering is an outcome of an outbound call only`() {
        var outbound = Self.call(.outbound)
        _ = outbound.apply(Self.report(.noAnswer, after: 30))
        #expect(outbound.outcome == .noAnswer)
        var inbound = Self.call(.inbound, .ringing)
        _ = inbound.apply(Self.report(.noAnswer, after: 30))
        #expect(inbound.outcome == nil)
    }

    @Test func `a machine makes it voicemail, a human does not`() {
        for who in AnsweredBy.allCases {
            var call = Self.call(.outbound, .inProgress)
            let changes = call.apply(who, at: Self.start)
            #expect((call.outcome == .voicemail) == who.isMachine)
            #expect(changes.isEmpty != who.isMachine)
        }
    }
}
