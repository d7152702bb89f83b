import HTTP
import Shared

/// `config_data` of document 003 §4.1: what may stand in each member, and what it is when nobody says. A member that
/// is not known here is left out, as everywhere in the API: it never changes a row.
enum ConfigData {
    /// Bytes of its JSON text.
    static let bytesMax = 65_536

    /// Reads `config_data`; complaints are named `config_data.ai.temperature`.
    static func read(_ form: inout Form) -> JSONObject {
        _ = form.object("config_data", max: bytesMax)
        if let given = form.nested("config_data", sections) { return given }
        var empty = Form(JSONObject())
        return sections(&empty)
    }

    private static func sections(_ form: inout Form) -> JSONObject {
        var data = JSONObject()
        for (name, read) in readers { data[name] = .object(section(name, &form, read)) }
        return data
    }

    /// An object within, with all its members' defaults when it is left out.
    static func section(
        _ name: String, _ form: inout Form, _ read: (inout Form) -> JSONObject
    ) -> JSONObject {
        if let given = form.nested(name, read) { return given }
        var empty = Form(JSONObject())
        return read(&empty)
    }

    private static let readers: [(String, @Sendable (inout Form) -> JSONObject)] = [
        ("ai", ai), ("voice", voice), ("knowledge_base", knowledgeBase), ("quality_assurance", qualityAssurance),
        ("escalation", escalation),
    ]

    // MARK: Sections

    private static func ai(_ form: inout Form) -> JSONObject {
        [
            "model": .string(form.optionalString("model", max: 200) ?? ""),
            "temperature": .double(form.optionalDouble("temperature", in: 0...2) ?? 0.3),
            "system_prompt": .string(form.optionalString("system_prompt", max: 20_000) ?? ""),
        ]
    }

    private static func voice(_ form: inout Form) -> JSONObject {
        let language = form.optionalString("language", max: 35) ?? "en-US"
        if !isLanguage(language) { form.fail("language", "must be a language tag such as en-US") }
        return [
            "language": .string(language),
            "voice": .string(form.optionalString("voice", max: 100) ?? ""),
            "response_delay": .double(form.optionalDouble("response_delay", in: 0...10_000) ?? 0),
        ]
    }

    private static func knowledgeBase(_ form: inout Form) -> JSONObject {
        [
            "enabled": .bool(form.optionalBool("enabled", default: true)),
            "retrieval_top_k": .int(form.optionalInt("retrieval_top_k", in: 1...Question.limitMax, default: 4)),
            "similarity_threshold": .double(form.optionalDouble("similarity_threshold", in: 0...1) ?? 0),
        ]
    }

    private static func qualityAssurance(_ form: inout Form) -> JSONObject {
        [
            "enabled": .bool(form.optionalBool("enabled", default: true)),
            "sentiment_analysis": .bool(form.optionalBool("sentiment_analysis", default: true)),
            "compliance_check": .bool(form.optionalBool("compliance_check", default: true)),
            "min_score_threshold": .double(form.optionalDouble("min_score_threshold", in: 0...1) ?? 0.6),
            "rules": .object(section("rules", &form, QualityRules.read)),
        ]
    }

    private static func escalation(_ form: inout Form) -> JSONObject {
        [
            "enabled": .bool(form.optionalBool("enabled", default: true)),
            "triggers": .array((form.each("triggers", max: 50) { trigger(&$0) } ?? []).map { .object($0) }),
            "warm_transfer": .bool(form.optionalBool("warm_transfer", default: true)),
        ]
    }

    private static func trigger(_ form: inout Form) -> JSONObject {
        let type = form.string("type", max: 50)
        let kind = kinds.first { $0.names.contains(type) }
        if kind == nil, !type.isEmpty {
            form.fail("type", "must be one of \(kinds.map { $0.names[0] }.joined(separator: ", "))")
        }
        let threshold = form.optionalDouble("threshold", in: kind?.thresholds ?? -1000...1000)
        let keywords = form.strings("keywords", max: 200, each: 100)
        let skill = form.optionalString("skill", max: 100)
        let department = form.optionalString("department", max: 100)
        if kind?.needsKeywords == true, keywords?.contains(where: { !$0.isEmpty }) != true {
            form.fail("keywords", "must name at least one word or phrase")
        }
        var trigger: JSONObject = ["type": .string(type)]
        trigger["threshold"] = threshold.map { .double($0) }
        trigger["keywords"] = keywords.map { .array($0.map { .string($0) }) }
        trigger["skill"] = skill.map { .string($0) }
        trigger["department"] = department.map { .string($0) }
        return trigger
    }

    private struct TriggerKind {
        /// The first is ours; the others are what people have called it.
        let names: [String]
        let thresholds: ClosedRange<Double>
        var needsKeywords = false
    }

    /// What telephony acts on, under the names it knows.
    private static let kinds = [
        TriggerKind(names: ["keyword", "keywords"], thresholds: -1000...1000, needsKeywords: true),
        TriggerKind(names: ["sentiment", "negative_sentiment", "sentiment_threshold"], thresholds: -1...1),
        TriggerKind(
            names: ["explicit_request", "explicit", "human_request", "customer_request", "request"],
            thresholds: -1000...1000),
        TriggerKind(
            names: ["repeated_failure", "repeated_failures", "failure", "failed_attempts"], thresholds: 1...100),
        TriggerKind(names: ["low_confidence", "confidence", "confidence_threshold"], thresholds: 0...1),
    ]

    /// BCP 47 in the form anybody writes it: a language of two or three letters, then subtags.
    private static func isLanguage(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard let first = parts.first, (2...3).contains(first.count), first.allSatisfy(isLetter) else { return false }
        return parts.dropFirst().allSatisfy { part in
            (1...8).contains(part.count) && part.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) }
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }

    // MARK: Description

    static let schema = Schema.object(
        .optional(
            "ai",
            .object(
                .optional("model", .string(max: 200), "Default: empty, the program's own."),
                .optional("temperature", .number(min: 0, max: 2), "Default 0.3."),
                .optional("system_prompt", .string(max: 20_000), "Default: empty, the AI agent's own."))),
        .optional(
            "voice",
            .object(
                .optional("language", .string(max: 35), "BCP 47. Default en-US."),
                .optional("voice", .string(max: 100), "The carrier's name for it. Default: empty, the carrier's own."),
                .optional("response_delay", .number(min: 0, max: 10_000), "Milliseconds. Default 0."))),
        .optional(
            "knowledge_base",
            .object(
                .optional("enabled", .boolean, "Default true."),
                .optional("retrieval_top_k", .integer(min: 1, max: Question.limitMax), "Default 4."),
                .optional("similarity_threshold", .number(min: 0, max: 1), "Least `score` of a result. Default 0."))),
        .optional(
            "quality_assurance",
            .object(
                .optional("enabled", .boolean, "Default true."),
                .optional("sentiment_analysis", .boolean, "Default true."),
                .optional("compliance_check", .boolean, "Default true."),
                .optional(
                    "min_score_threshold", .number(min: 0, max: 1),
                    "Scores below it are flagged. Default 0.6."),
                .optional("rules", QualityRules.schema, "What is to be said on calls, and what is not."))),
        .optional(
            "escalation",
            .object(
                .optional("enabled", .boolean, "Default true."),
                .optional("triggers", .array(triggerSchema, max: 50), "Default none."),
                .optional("warm_transfer", .boolean, "Default true."))))

    private static let triggerSchema = Schema.object(
        .required("type", .string(max: 50), "keyword, sentiment, explicit_request, repeated_failure, low_confidence."),
        .optional(
            "threshold", .number,
            "sentiment: −1…1, low_confidence: 0…1, repeated_failure: 1…100 in a row."),
        .optional("keywords", .array(.string(max: 100), max: 200), "Required by keyword."),
        .optional("skill", .string(max: 100), "What a human must be able to do who is called for."),
        .optional("department", .string(max: 100), "Where a human must be who is called for."))
}
