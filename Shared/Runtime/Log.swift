import Glibc
import Shared

/// A value in a log line.
public enum LogValue: Sendable, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral
{
    case string(String)
    case int(Int64)
    case double(Double)
    case bool(Bool)

    public static func int(_ value: Int) -> LogValue { .int(Int64(value)) }

    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// One JSON object a line on standard output: `at`, `level`, `program`, `event`, the fields, and `trace_id` when the work
/// belongs to a request. Never a token, a password, or a whole phone number.
public struct Log: Sendable {
    public enum Level: String, Sendable, CaseIterable, Comparable {
        case debug, info, warn, error

        private var weight: Int {
            switch self {
            case .debug: 0
            case .info: 1
            case .warn: 2
            case .error: 3
            }
        }

        public static func < (a: Level, b: Level) -> Bool { a.weight < b.weight }
    }

    public let program: String
    public let least: Level
    private let fields: [(String, LogValue)]
    private let write: @Sendable ([UInt8]) -> Void

    /// - Parameters:
    ///   - least: lines below it are not written.
    ///   - write: where a finished line goes; standard output unless a test wants to read it.
    public init(program: String, least: Level = .info, write: @escaping @Sendable ([UInt8]) -> Void = Log.toOutput) {
        self.init(program: program, least: least, fields: [], write: write)
    }

    private init(
        program: String, least: Level, fields: [(String, LogValue)], write: @escaping @Sendable ([UInt8]) -> Void
    ) {
        self.program = program
        self.least = least
        self.fields = fields
        self.write = write
    }

    /// The same log with fields on every line.
    public func child(_ more: (String, LogValue)...) -> Log {
        Log(program: program, least: least, fields: fields + more, write: write)
    }

    public func debug(_ event: StaticString, _ fields: (String, LogValue)...) { line(.debug, event, fields) }
    public func info(_ event: StaticString, _ fields: (String, LogValue)...) { line(.info, event, fields) }
    public func warn(_ event: StaticString, _ fields: (String, LogValue)...) { line(.warn, event, fields) }
    public func error(_ event: StaticString, _ fields: (String, LogValue)...) { line(.error, event, fields) }

    public func line(_ level: Level, _ event: StaticString, _ more: [(String, LogValue)]) {
        line(level, event, trace: TraceContext.current) { json in
            for (name, value) in more { Self.write(name, value, &json) }
        }
    }

    /// A line whose fields the caller writes itself: for what is logged with every request.
    public func line(
        _ level: Level, _ event: StaticString, trace: TraceContext?, _ more: (inout JSONWriter) -> Void
    ) {
        guard level >= least else { return }
        var json = JSONWriter(capacity: 512)
        json.object { json in
            json.field("at", Instant.now())
            json.field("level", level.rawValue)
            json.field("program", program)
            json.field("event", event.description)
            if let trace { json.field("trace_id", trace.traceIDText) }
            for (name, value) in fields { Self.write(name, value, &json) }
            more(&json)
        }
        write(json.line)
    }

    private static func write(_ name: String, _ value: LogValue, _ json: inout JSONWriter) {
        switch value {
        case .string(let text): json.field(name, text)
        case .int(let number): json.field(name, number)
        case .double(let number): json.field(name, number)
        case .bool(let truth): json.field(name, truth)
        }
    }

    /// One `write(2)` a line: lines of several threads never mix.
    public static let toOutput: @Sendable ([UInt8]) -> Void = { line in
        line.withUnsafeBytes { bytes in
            var sent = 0
            while sent < bytes.count {
                let count = Glibc.write(1, bytes.baseAddress.map { $0 + sent }, bytes.count - sent)
                if count < 0, errno != EINTR { return }
                sent += max(count, 0)
            }
        }
    }
}
