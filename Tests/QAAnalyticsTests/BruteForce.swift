import Postgres
import Shared

@testable import QAAnalytics

/// The same figures from the rows themselves, one call after the other, with nothing of the code under test: local days
/// are PostgreSQL's dates of instants, scores come from the scores, escalations from the escalations.
enum BruteForce {
    private struct Call {
        var status: String
        var isInbound: Bool
        var isEscalated: Bool
        var duration: Int64?
        var mood: Double?
        var moodLabel: String?
        /// overall, sentiment, compliance, accuracy, professionalism
        var scores: [Double]?
        var issues: [String]
        var period: String
        var triggers: [String]
        var statuses: [String]
        /// Seconds of those that were completed.
        var resolutions: [Double]
    }

    static func answer(_ question: Question, _ database: Database) async throws -> Answer {
        let calls = try await self.calls(question, database)
        var answer = Answer()
        answer["total"] = Double(calls.count)
        answer["active"] = count(calls) { !["completed", "failed"].contains($0.status) }
        for status in ["completed", "failed"] { answer[status] = count(calls) { $0.status == status } }
        answer["escalated"] = count(calls) { $0.isEscalated }
        answer["average duration"] = mean(calls.compactMap { $0.duration.map(Double.init) })
        for mood in ["positive", "neutral", "negative"] { answer[mood] = count(calls) { $0.moodLabel == mood } }
        let scored = calls.compactMap(\.scores)
        answer["average score"] = mean(scored.map { $0[0] })
        for (place, name) in ["overall", "sentiment", "compliance", "accuracy", "professionalism"].enumerated() {
            answer["average \(name)"] = mean(scored.map { $0[place] })
        }
        answer["excellent"] = Double(scored.count { $0[0] >= 0.8 })
        answer["good"] = Double(scored.count { (0.6..<0.8).contains($0[0]) })
        answer["fair"] = Double(scored.count { (0.4..<0.6).contains($0[0]) })
        answer["poor"] = Double(scored.count { $0[0] < 0.4 })
        for call in calls {
            for issue in Set(call.issues) { answer["issue \(Quality.title(ofIssue: issue))"] += 1 }
            for trigger in call.triggers { answer["trigger \(trigger)"] += 1 }
            for status in call.statuses { answer["escalations \(status)"] += 1 }
            answer["escalations"] += Double(call.statuses.count)
        }
        let felt = calls.filter { $0.mood != nil }
        answer["average mood"] = mean(felt.compactMap(\.mood))
        answer["sentiment vs qa"] = correlation(
            calls.compactMap { call in
                guard let mood = call.mood, let overall = call.scores?[0] else { return nil }
                return (mood, overall)
            })
        answer["sentiment vs escalation"] = correlation(felt.map { ($0.mood ?? 0, $0.isEscalated ? 1 : 0) })
        answer["average resolution"] = mean(calls.flatMap(\.resolutions))
        for (period, calls) in Dictionary(grouping: calls, by: \.period) {
            series(period, calls, question.direction, &answer)
        }
        answer.numbers = answer.numbers.filter { $0.value != 0 }
        return answer
    }

    private static func series(
        _ period: String, _ calls: [Call], _ direction: CallDirection?, _ answer: inout Answer
    ) {
        let chosen = calls.filter { direction == nil || $0.isInbound == (direction == .inbound) }
        answer["\(period) calls"] = Double(chosen.count)
        answer["\(period) inbound"] = count(chosen) { $0.isInbound }
        answer["\(period) outbound"] = count(chosen) { !$0.isInbound }
        answer["\(period) completed"] = count(chosen) { $0.status == "completed" }
        answer["\(period) escalated"] = count(chosen) { $0.isEscalated }
        answer["\(period) score"] = mean(calls.compactMap { $0.scores?[0] })
        answer["\(period) mood"] = mean(calls.compactMap(\.mood))
        answer["\(period) positive"] = count(calls) { $0.moodLabel == "positive" }
        answer["\(period) negative"] = count(calls) { $0.moodLabel == "negative" }
        answer["\(period) escalations"] = Double(calls.reduce(0) { $0 + $1.statuses.count })
        answer["\(period) escalation rate"] = 100 * count(calls) { $0.isEscalated } / Double(calls.count)
    }

    private static func calls(_ question: Question, _ database: Database) async throws -> [Call] {
        let (range, zone) = (question.range, question.range.zone)
        let unit = question.interval.rawValue
        return try await database.query(
            """
            SELECT c.status, c.direction = 'inbound' AS inbound, c.escalated, c.duration_seconds, c.mood, c.mood_label,
                s.overall, s.sentiment, s.compliance, s.accuracy, s.professionalism,
                ARRAY(SELECT f ->> 'code' FROM jsonb_array_elements(s.findings) f) AS issues,
                ARRAY(SELECT trigger_type FROM escalations e WHERE e.call_id = c.call_id) AS triggers,
                ARRAY(SELECT status FROM escalations e WHERE e.call_id = c.call_id) AS statuses,
                ARRAY(SELECT extract(epoch FROM completed_at - requested_at)::float8 FROM escalations e
                    WHERE e.call_id = c.call_id AND status = 'completed') AS resolutions,
                to_char(date_trunc(\(unit), c.started_at AT TIME ZONE \(zone)),
                    CASE WHEN \(unit) = 'hour' THEN 'YYYY-MM-DD"T"HH24:MI:SS' ELSE 'YYYY-MM-DD' END) AS period,
                extract(epoch FROM (c.started_at AT TIME ZONE \(zone)) - (c.started_at AT TIME ZONE 'UTC'))::bigint
                    AS shift
            FROM calls c LEFT JOIN qa_scores s ON s.call_id = c.call_id
                -- Nobody spoke, and nobody has judged it since.
                AND NOT (s.findings @> '[{"code": "nobody_spoke"}]' AND NOT s.reviewed)
            WHERE CASE WHEN \(range.fromDay)::text IS NULL THEN c.started_at >= \(range.fromInstant)
                    ELSE (c.started_at AT TIME ZONE \(zone))::date >= \(range.fromDay)::text::date END
                AND CASE WHEN \(range.toDay)::text IS NULL THEN c.started_at < \(range.toInstant)
                    ELSE (c.started_at AT TIME ZONE \(zone))::date <= \(range.toDay)::text::date END
                AND (\(question.scope.tenancy.ids)::uuid[] IS NULL
                    OR c.workspace_id = ANY (\(question.scope.tenancy.ids)::uuid[]))
                AND (\(question.scope.business)::uuid IS NULL OR c.business_id = \(question.scope.business))
            """
        ).map { row in
            var period: String = try row["period"]
            if question.interval == .hour { period += offset(try row["shift"]) }
            let overall: Double? = try row["overall"]
            return Call(
                status: try row["status"], isInbound: try row["inbound"], isEscalated: try row["escalated"],
                duration: try row["duration_seconds"], mood: try row["mood"], moodLabel: try row["mood_label"],
                scores: try overall.map { overall in
                    [overall]
                        + (try ["sentiment", "compliance", "accuracy", "professionalism"].map {
                            try row.decode($0, as: Double.self)
                        })
                },
                issues: try row["issues"], period: period, triggers: try row["triggers"],
                statuses: try row["statuses"], resolutions: try row["resolutions"])
        }
    }

    private static func offset(_ seconds: Int64) -> String {
        if seconds == 0 { return "Z" }
        let minutes = abs(seconds) / 60
        let texts = [minutes / 60, minutes % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }
        return (seconds < 0 ? "-" : "+") + texts.joined(separator: ":")
    }

    private static func count(_ calls: [Call], _ isCounted: (Call) -> Bool) -> Double {
        Double(calls.count(where: isCounted))
    }

    private static func mean(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.reduce(0, +) / Double(values.count)
    }

    /// By differences from the means, as the textbook has it.
    private static func correlation(_ pairs: [(Double, Double)]) -> Double {
        guard pairs.count > 1 else { return 0 }
        let (one, other) = (mean(pairs.map(\.0)), mean(pairs.map(\.1)))
        let squares = pairs.map { ($0.0 - one) * ($0.0 - one) }.reduce(0, +)
        let others = pairs.map { ($0.1 - other) * ($0.1 - other) }.reduce(0, +)
        guard squares / Double(pairs.count) > 1e-10, others / Double(pairs.count) > 1e-10 else { return 0 }
        return pairs.map { ($0.0 - one) * ($0.1 - other) }.reduce(0, +) / (squares * others).squareRoot()
    }
}
