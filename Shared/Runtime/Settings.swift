import Glibc
import Shared

/// The environment of the process; read by `*Service.swift` files through ``Settings`` only.
public enum Environment {
    public static var variables: [String: String] {
        var found: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if let mark = text.firstIndex(of: "=") {
                found[String(text[..<mark])] = String(text[text.index(after: mark)...])
            }
            next += 1
        }
        return found
    }
}

/// Reads settings by name and keeps every complaint, so that a wrong configuration is told whole, once, before anything
/// starts. Not `Sendable`: it lives while a program is put together.
public final class Settings {
    private let variables: [String: String]
    public private(set) var complaints: [String] = []

    public init(_ variables: [String: String] = Environment.variables) { self.variables = variables }

    /// A set, non-empty value.
    private func raw(_ name: String) -> String? { variables[name].flatMap { $0.isEmpty ? nil : $0 } }

    private func complain(_ name: String, _ message: String) { complaints.append("\(name) \(message)") }

    private func read<T>(_ name: String, _ fallback: T?, _ placeholder: T, _ kind: String, _ parse: (String) -> T?) -> T
    {
        guard let text = raw(name) else {
            if let fallback { return fallback }
            complain(name, "is missing: set it to \(kind)")
            return placeholder
        }
        guard let value = parse(text) else {
            complain(name, "must be \(kind)")
            return fallback ?? placeholder
        }
        return value
    }

    public func string(_ name: String, default fallback: String? = nil) -> String {
        read(name, fallback, "", "a text") { $0 }
    }

    public func optional(_ name: String) -> String? { raw(name) }

    /// A value of another module's making; nil when it is not set.
    /// - Parameter kind: how the complaint words what it should be.
    public func optional<T>(_ name: String, _ kind: String, _ parse: (String) -> T?) -> T? {
        read(name, .some(nil), nil, kind) { parse($0).map { $0 } }
    }

    /// A value that must never be printed.
    public func secret(_ name: String, default fallback: String? = nil, lengthMin: Int = 1) -> String {
        read(name, fallback, "", "a secret of at least \(lengthMin) characters") { $0.count >= lengthMin ? $0 : nil }
    }

    public func int(_ name: String, default fallback: Int? = nil, in range: ClosedRange<Int> = 0...Int.max) -> Int {
        read(name, fallback, range.lowerBound, "a whole number from \(range.lowerBound) to \(range.upperBound)") {
            Int($0).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    public func double(_ name: String, default fallback: Double? = nil, in range: ClosedRange<Double>) -> Double {
        read(name, fallback, range.lowerBound, "a number from \(range.lowerBound) to \(range.upperBound)") {
            Double($0).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    public func bool(_ name: String, default fallback: Bool? = nil) -> Bool {
        read(name, fallback, false, "true or false") {
            switch $0.lowercased() {
            case "true", "1", "yes", "on": true
            case "false", "0", "no", "off": false
            default: nil
            }
        }
    }

    /// `http://` or `https://` with a host; a trailing slash is dropped.
    public func url(_ name: String, default fallback: String? = nil) -> String {
        read(name, fallback, "", "a URL such as http://localhost:8000") { Self.url($0) }
    }

    public func optionalURL(_ name: String) -> String? {
        guard raw(name) != nil else { return nil }
        return url(name)
    }

    /// One or more URLs, separated by commas.
    public func urls(_ name: String, default fallback: [String]? = nil) -> [String] {
        read(name, fallback, [], "one or more URLs, separated by commas") { text in
            let urls = text.split(separator: ",").map { Self.url(String($0.filter { $0 != " " })) }
            return urls.isEmpty || urls.contains(nil) ? nil : urls.compactMap { $0 }
        }
    }

    /// Texts separated by commas.
    public func list(_ name: String, default fallback: [String]? = nil) -> [String] {
        read(name, fallback, [], "texts separated by commas") { text in
            text.split(separator: ",").map { String($0.trimmed) }.filter { !$0.isEmpty }
        }
    }

    public func choice<C: RawRepresentable & CaseIterable>(_ name: String, default fallback: C) -> C
    where C.RawValue == String {
        let names = C.allCases.map(\.rawValue).joined(separator: ", ")
        return read(name, fallback, fallback, "one of \(names)") { C(rawValue: $0) }
    }

    /// Anything else that a text can be made into.
    public func value<T>(_ name: String, default fallback: T, _ kind: String, _ parse: (String) -> T?) -> T {
        read(name, fallback, fallback, kind, parse)
    }

    /// Seconds, with a fraction if wanted.
    public func duration(_ name: String, default fallback: Duration) -> Duration {
        read(name, fallback, fallback, "a number of seconds") {
            Double($0).flatMap { $0 >= 0 && $0 < 1e9 ? .seconds($0) : nil }
        }
    }

    /// Every complaint at once.
    public struct Unusable: Error, Sendable, CustomStringConvertible {
        public let complaints: [String]
        init(_ settings: Settings) { complaints = settings.complaints }
        public var description: String {
            "These settings need attention (.env.example explains each):\n"
                + complaints.map { "  \($0)" }.joined(separator: "\n")
        }
    }

    /// - Throws: ``Unusable`` if anything was missing or wrong. ``Service`` prints it and exits with 78.
    public func check() throws(Unusable) {
        if !complaints.isEmpty { throw Unusable(self) }
    }

    private static func url(_ text: String) -> String? {
        guard let scheme = ["http://", "https://"].first(where: text.hasPrefix) else { return nil }
        let rest = text.dropFirst(scheme.count)
        guard let host = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).first,
            !host.isEmpty,
            !rest.utf8.contains(where: { $0 <= 0x20 })
        else { return nil }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }
}

extension StringProtocol {
    fileprivate var trimmed: Self.SubSequence {
        let start = firstIndex { $0 != " " && $0 != "\t" } ?? endIndex
        let end = lastIndex { $0 != " " && $0 != "\t" }.map { index(after: $0) } ?? endIndex
        return self[start..<(start < end ? end : start)]
    }
}
