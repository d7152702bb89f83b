import HTTP
import Shared

/// A node of the settings document: a group of others, or one value with its default and its rule.
indirect enum SettingsNode: Sendable {
    case group([(name: String, node: SettingsNode)])
    case value(SettingsRule, default: JSON)

    /// The document of someone who has chosen nothing.
    var defaults: JSON {
        switch self {
        case .value(_, let value): value
        case .group(let members): .object(JSONObject(members.map { ($0.name, $0.node.defaults) }))
        }
    }

    /// The whole document: what was chosen over the defaults. What the schema does not know any more, or would not take any
    /// more, is left out.
    func document(_ chosen: JSON?) -> JSON {
        switch self {
        case .value(let rule, let fallback): chosen.flatMap { rule.complaint($0) == nil ? $0 : nil } ?? fallback
        case .group(let members):
            .object(JSONObject(members.map { ($0.name, $0.node.document(chosen?[$0.name])) }))
        }
    }

    /// What differs from the defaults once `patch` is laid over what was chosen before; nil when nothing does. A null brings
    /// back the default, of a value or of a whole group.
    func merged(
        _ patch: JSON, over chosen: JSON?, path: String, complaints: inout [(name: String, message: String)]
    ) -> JSON? {
        if patch.isNull { return nil }
        switch self {
        case .value(let rule, let fallback):
            if let complaint = rule.complaint(patch) { complaints.append((path, complaint)) }
            return patch == fallback ? nil : patch
        case .group(let members):
            guard let patch = patch.object else {
                complaints.append((path.isEmpty ? "settings" : path, "must be an object"))
                return chosen
            }
            for name in patch.names where !members.contains(where: { $0.name == name }) {
                let known = members.map(\.name).joined(separator: ", ")
                complaints.append((path.isEmpty ? name : "\(path).\(name)", "is not known; known are \(known)"))
            }
            var result = JSONObject()
            for (name, node) in members {
                let before = chosen?[name]
                guard let change = patch[name] else {
                    result[name] = before
                    continue
                }
                result[name] = node.merged(
                    change, over: before, path: path.isEmpty ? name : "\(path).\(name)", complaints: &complaints)
            }
            return result.isEmpty ? nil : .object(result)
        }
    }

    /// Every value of a kind that only somebody else can check, with its path.
    func zones(in document: JSON, path: String = "") -> [(path: String, zone: String)] {
        switch self {
        case .value(.zone, _): document.string.map { [(path, $0)] } ?? []
        case .value: []
        case .group(let members):
            members.flatMap { member in
                document[member.name].map {
                    member.node.zones(in: $0, path: path.isEmpty ? member.name : "\(path).\(member.name)")
                } ?? []
            }
        }
    }

    /// As the OpenAPI document shows it. Every member may be left out of a change.
    func schema(partial: Bool) -> Schema {
        switch self {
        case .value(let rule, let fallback):
            let schema = rule.schema.described("Default: \(fallback.jsonText).")
            return partial ? .nullable(schema) : schema
        case .group(let members):
            return .object(members.map { Field($0.name, $0.node.schema(partial: partial), optional: partial) })
        }
    }
}

/// What a setting may be.
enum SettingsRule: Sendable {
    case truth
    case choice([String])
    case whole(ClosedRange<Int>)
    case text(max: Int)
    /// BCP 47, as voices and pages are named: `en`, `de-CH`.
    case language
    /// An IANA name such as `Europe/Zurich`; the database knows them all.
    case zone
    /// `HH:MM`
    case time
    case weekdays

    static let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

    /// What is wrong with the value; nil when nothing is.
    func complaint(_ value: JSON) -> String? {
        switch self {
        case .truth: value.bool == nil ? "must be true or false" : nil
        case .choice(let options):
            value.string.map(options.contains) == true ? nil : "must be one of \(options.joined(separator: ", "))"
        case .whole(let range):
            value.int.map(range.contains) == true
                ? nil : "must be a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .text(let max):
            value.string.map { $0.unicodeScalars.count <= max && !$0.utf8.contains(0) } == true
                ? nil : "must be a text of \(max) characters at most"
        case .language:
            value.string.map(Self.isLanguage) == true ? nil : "must be a language tag such as en or en-US"
        case .zone:
            value.string.map { (1...64).contains($0.utf8.count) && !$0.utf8.contains(0) } == true
                ? nil : "must be a time zone such as Europe/Zurich"
        case .time: value.string.map(Self.isTime) == true ? nil : "must be a time of day such as 09:30"
        case .weekdays:
            value.array.map { days in
                days.count == Set(days).count && days.allSatisfy { $0.string.map(Self.days.contains) == true }
            } == true ? nil : "must be a list of different days: \(Self.days.joined(separator: ", "))"
        }
    }

    private static func isLanguage(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard (1...3).contains(parts.count), (2...3).contains(parts[0].utf8.count),
            parts[0].utf8.allSatisfy({ $0 >= 0x61 && $0 <= 0x7A })
        else { return false }
        return parts.dropFirst().allSatisfy { part in
            (2...8).contains(part.utf8.count)
                && part.utf8.allSatisfy { ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || ($0 >= 0x30 && $0 <= 0x39) }
        }
    }

    private static func isTime(_ text: String) -> Bool {
        let digits = Array(text.utf8)
        guard digits.count == 5, digits[2] == 0x3A,
            [0, 1, 3, 4].allSatisfy({ digits[$0] >= 0x30 && digits[$0] <= 0x39 })
        else { return false }
        let (hour, minute) = (Int(text.prefix(2)) ?? 99, Int(text.suffix(2)) ?? 99)
        return hour < 24 && minute < 60
    }

    var schema: Schema {
        switch self {
        case .truth: .boolean
        case .choice(let options): .string(enum: options)
        case .whole(let range): .integer(min: range.lowerBound, max: range.upperBound)
        case .text(let max): .string(max: max)
        case .language: .string(pattern: "^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$")
        case .zone: .string(min: 1, max: 64)
        case .time: .string(pattern: "^([01][0-9]|2[0-3]):[0-5][0-9]$")
        case .weekdays: .array(.string(enum: Self.days), max: 7)
        }
    }
}
