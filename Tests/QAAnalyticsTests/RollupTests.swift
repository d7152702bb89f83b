import Messaging
import Postgres
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

/// The figures against the rows they are of, on random histories: whatever happens to calls, in whatever order it is
/// heard of, both are the same. A failure names its seed, and the same seed is the same history.
@Suite struct RollupTests {
    /// Zones whose days are no UTC days, some of which change their clocks in the days around `middle`.
    struct Place: Sendable, CustomTestStringConvertible {
        let zone: String
        let middle: String
        var testDescription: String { "\(zone) around \(middle)" }
    }

    static let places = [
        Place(zone: "UTC", middle: "2026-03-01T00:00:00Z"),
        // Clocks forward, and back.
        Place(zone: "America/New_York", middle: "2026-03-08T07:00:00Z"),
        Place(zone: "America/New_York", middle: "2026-11-01T06:00:00Z"),
        Place(zone: "Asia/Kolkata", middle: "2026-03-31T18:30:00Z"),
        Place(zone: "Asia/Kathmandu", middle: "2026-06-15T00:00:00Z"),
        // Back over midnight, which comes twice.
        Place(zone: "America/Havana", middle: "2026-11-01T05:00:00Z"),
        // By half an hour.
        Place(zone: "Australia/Lord_Howe", middle: "2026-04-04T15:00:00Z"),
    ]

    @Test(arguments: RollupTests.places, [UInt64](1...3))
    func `figures equal the rows, whatever happened to the calls`(place: Place, seed: UInt64) async throws {
        try await TestDatabase.fresh(migrations: ["qa-analytics"], extra: MessagingSchema.migrations) { database in
            var history = try History(place, seed: seed, database)
            for round in 0..<4 {
                for _ in 0..<70 { try await history.step() }
                for _ in 0..<6 {
                    let question = history.question()
                    let found = try await Answer.read(question, database)
                    let wanted = try await BruteForce.answer(question, database)
                    let difference = wanted.difference(from: found)
                    #expect(
                        difference == nil,
                        "seed \(seed), \(place.testDescription), round \(round), \(question): \(difference ?? "")")
                }
            }
        }
    }
}

/// Everything the five endpoints say of a range.
struct Answer {
    var numbers: [String: Double] = [:]

    static func read(_ question: Question, _ database: Database) async throws -> Answer {
        let (range, scope, interval) = (question.range, question.scope, question.interval)
        let overview = try await Overview.read(range, scope, database)
        let volume = try await CallVolume.read(range, by: interval, question.direction, scope, database)
        let quality = try await Quality.read(range, by: interval, scope, database)
        let sentiment = try await SentimentFigures.read(range, by: interval, scope, database)
        let escalations = try await EscalationFigures.read(range, by: interval, scope, database)
        var answer = Answer()
        answer["total"] = Double(overview.total)
        answer["active"] = Double(overview.active)
        answer["completed"] = Double(overview.completed)
        answer["failed"] = Double(overview.failed)
        answer["escalated"] = Double(overview.escalated)
        answer["average score"] = overview.averageScore
        answer["average duration"] = overview.averageDuration
        for mood in overview.sentiment.named { answer[mood.name] = Double(mood.count) }
        for band in overview.bands.named { answer[band.name] = Double(band.count) }
        for average in quality.averages { answer["average \(average.name)"] = average.score }
        for issue in quality.issues { answer["issue \(issue.title)"] = Double(issue.count) }
        answer["average mood"] = sentiment.average
        answer["sentiment vs qa"] = sentiment.againstScore
        answer["sentiment vs escalation"] = sentiment.againstEscalation
        answer["escalations"] = Double(escalations.total)
        for status in escalations.statuses { answer["escalations \(status.name)"] = Double(status.count) }
        for trigger in escalations.triggers { answer["trigger \(trigger.item)"] = Double(trigger.count) }
        answer["average resolution"] = escalations.averageResolution
        for point in volume.points {
            answer["\(point.period) calls"] = Double(point.total)
            answer["\(point.period) inbound"] = Double(point.inbound)
            answer["\(point.period) outbound"] = Double(point.outbound)
            answer["\(point.period) completed"] = Double(point.completed)
            answer["\(point.period) escalated"] = Double(point.escalated)
        }
        for point in quality.trends { answer["\(point.period) score"] = point.average }
        for point in sentiment.trends {
            answer["\(point.period) mood"] = point.average
            answer["\(point.period) positive"] = Double(point.moods.positive)
            answer["\(point.period) negative"] = Double(point.moods.negative)
        }
        for point in escalations.trends {
            answer["\(point.period) escalations"] = Double(point.escalations)
            answer["\(point.period) escalation rate"] = point.rate
        }
        // An empty period and none are both 0: the filling has a test of its own.
        answer.numbers = answer.numbers.filter { $0.value != 0 }
        return answer
    }

    subscript(name: String) -> Double {
        get { numbers[name] ?? 0 }
        set { numbers[name] = newValue }
    }

    /// The first number that differs: counts must not, means may by 1e-9.
    func difference(from other: Answer) -> String? {
        for name in Set(numbers.keys).union(other.numbers.keys).sorted() {
            let (wanted, found) = (self[name], other[name])
            let isCount = wanted == wanted.rounded() && found == found.rounded()
            if isCount ? wanted != found : abs(wanted - found) > 1e-9 * max(1, abs(wanted)) {
                return "\(name) is \(found) and should be \(wanted)"
            }
        }
        return nil
    }
}

struct Question: CustomStringConvertible {
    var range: AnalyticsRange
    var scope: AnalyticsScope
    var interval: Interval
    var direction: CallDirection?

    var description: String {
        "\(String(describing: range.from)) to \(range.to) by \(interval) \(scope) \(String(describing: direction))"
    }
}
