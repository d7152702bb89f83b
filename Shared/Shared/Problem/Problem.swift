/// The one error that reaches a client. Its message is for strangers: what is wrong and what to do about it, never
/// what went on inside; that is `cause`, which only the log sees.
public struct Problem: Error, Sendable {
    public var code: Code
    public var status: Int
    public var message: String
    public var details: JSON?
    /// Bad fields in the order they were found; a name may appear more than once.
    public var fields: [(name: String, message: String)]
    /// Sent with the answer: `Retry-After`, `Allow`, `WWW-Authenticate`.
    public var headers: [(String, String)]
    public var cause: (any Error)?

    public init(
        _ code: Code, _ message: String? = nil, status: Int? = nil, details: JSON? = nil,
        fields: [(name: String, message: String)] = [], headers: [(String, String)] = [], cause: (any Error)? = nil
    ) {
        self.code = code
        self.status = status ?? code.status
        self.message = message ?? code.title + "."
        self.details = details
        self.fields = fields
        self.headers = headers
        self.cause = cause
    }
}

extension Problem {
    public static func notFound(_ code: Code = .notFound, _ message: String? = nil) -> Problem {
        Problem(code, message)
    }

    /// One bad field.
    public static func validation(_ field: String, _ message: String) -> Problem {
        .validation([(field, message)])
    }

    public static func validation(_ fields: [(name: String, message: String)]) -> Problem {
        let message =
            fields.count == 1
            ? "\(fields[0].name) \(fields[0].message)."
            : "\(fields.count) fields are not valid: \(Problem.names(fields).joined(separator: ", "))."
        return Problem(.validationError, message, fields: fields)
    }

    /// A body that is no JSON, with the place where it stops being some.
    public static func malformedJSON(_ error: JSON.SyntaxError) -> Problem {
        Problem(
            .validationError, "The body is not valid JSON: \(error).",
            details: ["offset": .int(error.offset), "line": .int(error.line), "column": .int(error.column)],
            cause: error)
    }

    public static func unauthorized(
        _ message: String = "Send a valid access token as \"Authorization: Bearer <token>\"."
    ) -> Problem {
        Problem(.unauthorized, message, headers: [("WWW-Authenticate", "Bearer")])
    }

    public static func forbidden(_ message: String? = nil) -> Problem { Problem(.forbidden, message) }

    public static func conflict(_ message: String) -> Problem { Problem(.conflict, message) }

    /// 402. The message says which limit and what to do next.
    public static func limitReached(_ message: String, details: JSON? = nil) -> Problem {
        Problem(.paymentRequired, message, details: details)
    }

    /// 429. - Parameter seconds: until the next try can succeed.
    public static func rateLimited(retryAfter seconds: Int) -> Problem {
        Problem(
            .rateLimited, "Too many requests; try again in \(seconds) s.",
            headers: [("Retry-After", String(max(1, seconds)))])
    }

    public static func payloadTooLarge(max: Int) -> Problem {
        Problem(.payloadTooLarge, "The body may have \(max) bytes at most.", details: ["max_bytes": .int(max)])
    }

    public static func unsupportedMediaType(expected: String) -> Problem {
        Problem(.unsupportedMediaType, "Send the body as \(expected).", headers: [("Accept", expected)])
    }

    public static func methodNotAllowed(_ allowed: [String]) -> Problem {
        let list = allowed.joined(separator: ", ")
        return Problem(
            .methodNotAllowed, "This address answers \(list).", headers: [("Allow", list)])
    }

    /// 503. Something this program needs does not answer; trying again is right.
    public static func unavailable(_ message: String? = nil, cause: (any Error)? = nil) -> Problem {
        Problem(.serviceUnavailable, message, headers: [("Retry-After", "1")], cause: cause)
    }

    /// 500. What happened is in the log only.
    public static func internalError(_ cause: any Error) -> Problem {
        Problem(.internalError, "Something went wrong on our side; it has been logged.", cause: cause)
    }
}

extension Problem {
    /// Document 003's shape: `{"error":{"code","message","details"}}`. `details` holds `{"fields":{name:[messages]}}`
    /// for bad fields and is left out when there is nothing to tell.
    public func writeManager(to json: inout JSONWriter) {
        json.object { json in
            json.fieldObject("error") { json in
                json.field("code", code.rawValue)
                json.field("message", message)
                guard details != nil || !fields.isEmpty else { return }
                writeDetails(to: &json)
            }
        }
    }

    private func writeDetails(to json: inout JSONWriter) {
        guard !fields.isEmpty else { return json.field("details", details) }
        json.fieldObject("details") { json in
            for (name, value) in details?.object?.pairs ?? [] where name != "fields" { json.field(name, value) }
            json.fieldObject("fields") { json in writeFields(to: &json) }
        }
    }

    /// The other documents' shape: `{"detail","status","code","error","message"}` and `"errors"` for bad fields.
    public func writeClassic(to json: inout JSONWriter) {
        json.object { json in
            json.field("detail", message)
            json.field("status", status)
            json.field("code", code.rawValue)
            json.field("error", code.title)
            json.field("message", message)
            if !fields.isEmpty { json.fieldObject("errors") { json in writeFields(to: &json) } }
            json.field("details", ifPresent: details)
        }
    }

    private func writeFields(to json: inout JSONWriter) {
        for name in Problem.names(fields) {
            json.fieldArray(name) { json in
                for field in fields where field.name == name { json.value(field.message) }
            }
        }
    }

    /// Each name once, in order.
    private static func names(_ fields: [(name: String, message: String)]) -> [String] {
        var seen: Set<String> = []
        return fields.map(\.name).filter { seen.insert($0).inserted }
    }
}

extension Problem: CustomStringConvertible {
    /// For logs and failing tests; clients get one of the two shapes above.
    public var description: String {
        let bad = fields.map { "; \($0.name): \($0.message)" }.joined()
        let because = cause.map { "; cause: \($0)" } ?? ""
        return "\(status) \(code.rawValue): \(message)\(bad)\(because)"
    }
}
