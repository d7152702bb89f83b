import HTTP
import Shared

/// `config_data.quality_assurance.rules`: what a business wants said, and not said, on its calls. Checked here; judged by
/// qa-analytics (`docs/qa-rubric.md`).
enum QualityRules {
    private enum Severity: String, CaseIterable { case low, medium, high, critical }

    private static let phraseLengthMax = 200
    private static let noticePhrasesMax = 50
    private static let forbiddenMax = 200
    private static let requiredMax = 50
    private static let turnsMax = 20

    static func read(_ form: inout Form) -> JSONObject {
        [
            "disclosure": .object(ConfigData.section("disclosure", &form, notice)),
            "recording_notice": .object(ConfigData.section("recording_notice", &form, notice)),
            "forbidden_phrases": phrases("forbidden_phrases", max: forbiddenMax, &form),
            "required_phrases": phrases("required_phrases", max: requiredMax, &form),
        ]
    }

    private static func notice(_ form: inout Form) -> JSONObject {
        let phrases = form.strings("phrases", max: noticePhrasesMax, each: phraseLengthMax) ?? []
        if !phrases.allSatisfy(hasWord) { form.fail("phrases", "must hold phrases with a word in them") }
        return [
            "required": .bool(form.optionalBool("required", default: false)),
            "within_turns": .int(form.optionalInt("within_turns", in: 1...turnsMax, default: 2)),
            "phrases": .array(phrases.map { .string($0) }), "severity": severity(&form),
        ]
    }

    private static func phrases(_ name: String, max: Int, _ form: inout Form) -> JSON {
        let rules = form.each(name, max: max) { rule(&$0) } ?? []
        var seen: Set<String> = []
        for (place, rule) in rules.enumerated() {
            guard let phrase = rule["phrase"]?.string, !phrase.isEmpty else { continue }
            if !seen.insert(phrase.lowercased()).inserted { form.fail("\(name)[\(place)].phrase", "is there already") }
        }
        return .array(rules.map { .object($0) })
    }

    private static func rule(_ form: inout Form) -> JSONObject {
        let phrase = form.string("phrase", max: phraseLengthMax)
        if !phrase.isEmpty, !hasWord(phrase) { form.fail("phrase", "must have a word in it") }
        return ["phrase": .string(phrase), "severity": severity(&form)]
    }

    private static func severity(_ form: inout Form) -> JSON {
        .string((form.optionalChoice("severity", as: Severity.self) ?? .high).rawValue)
    }

    /// Phrases are found as words: one of signs alone would be found nowhere.
    private static func hasWord(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.properties.isAlphabetic || $0.properties.numericType != nil }
    }

    // MARK: Description

    static let schema = Schema.object(
        .optional("disclosure", noticeSchema, "That an AI is speaking."),
        .optional("recording_notice", noticeSchema, "That the call is recorded."),
        .optional(
            "forbidden_phrases", .array(ruleSchema, max: forbiddenMax), "The AI must not say them. Default none."),
        .optional(
            "required_phrases", .array(ruleSchema, max: requiredMax),
            "The AI has to say them in every call in which it speaks twice. Default none."))

    private static let severitySchema = Schema.choice(Severity.self).described(
        "Points a breach takes from compliance: low 0.1, medium 0.2, high 0.3, critical 0.5. Default high.")

    private static let noticeSchema = Schema.object(
        .optional("required", .boolean, "Whether a call without it loses points. Default false."),
        .optional(
            "within_turns", .integer(min: 1, max: turnsMax), "Among the AI's first so many utterances. Default 2."),
        .optional(
            "phrases", .array(.string(min: 1, max: phraseLengthMax), max: noticePhrasesMax),
            "One of them will do; found as whole words, in any case. Default: empty, the built-in English ones."),
        .optional("severity", severitySchema))

    private static let ruleSchema = Schema.object(
        .required("phrase", .string(min: 1, max: phraseLengthMax), "Found as whole words, in any case."),
        .optional("severity", severitySchema))
}
