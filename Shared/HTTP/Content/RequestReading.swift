import Runtime
import Shared

/// What handlers read from a request. Everything bad is thrown as a ``Problem`` that names it.
extension Request {
    /// The body as JSON.
    /// - Throws: 415 for another content type, 413 over the route's limit, 400 with line and column when malformed.
    public func json() async throws -> JSON {
        guard MediaType(headers["Content-Type"]).isJSON else {
            throw Problem.unsupportedMediaType(expected: "application/json")
        }
        return try Request.parse(await bytes())
    }

    /// The fields of a JSON object.
    public func form() async throws -> Form { try Form(await json()) }

    /// Like `form()`, but a request without a body counts as one with no fields.
    public func optionalForm() async throws -> Form {
        if body.isEmpty { return Form(JSONObject()) }
        if headers.contains("Content-Type") { return try await form() }
        // Chunked framing does not tell beforehand whether anything comes.
        guard try await bytes().isEmpty else { throw Problem.unsupportedMediaType(expected: "application/json") }
        return Form(JSONObject())
    }

    /// The pairs of an `application/x-www-form-urlencoded` body, in order.
    public func urlEncoded() async throws -> [(String, String)] {
        guard MediaType(headers["Content-Type"]).name == "application/x-www-form-urlencoded" else {
            throw Problem.unsupportedMediaType(expected: "application/x-www-form-urlencoded")
        }
        return URLText.pairs(String(decoding: try await bytes(), as: UTF8.self))
    }

    /// A JSON object or an urlencoded form, whichever came: what classic clients send.
    public func anyForm() async throws -> Form {
        if MediaType(headers["Content-Type"]).name == "application/x-www-form-urlencoded" {
            return Form(query: try await urlEncoded())
        }
        return try await form()
    }

    public var queryForm: Form { Form(query: query) }

    /// Who asks. - Throws: 401 on a route that needs no token and got none.
    public func requirePrincipal() throws(Problem) -> Principal {
        guard let principal else { throw .unauthorized() }
        return principal
    }

    /// The id in the path. A malformed one names nothing, so it is the same 404 as an unknown one.
    public func pathID<Of>(_ name: String, as type: ID<Of>.Type, or code: Problem.Code) throws(Problem) -> ID<Of> {
        guard let id = ID<Of>(parameter(name)) else { throw .notFound(code) }
        return id
    }

    /// A whole number in the path (the ids that document 003 types as `number`), with the same 404.
    public func pathNumber(_ name: String, or code: Problem.Code) throws(Problem) -> Int64 {
        let text = parameter(name)
        guard !text.isEmpty, text.utf8.allSatisfy(Octets.isDigit), let number = Int64(text) else {
            throw .notFound(code)
        }
        return number
    }

    /// The token of `Authorization: Bearer …`; nil without one.
    public var bearerToken: String? {
        guard let field = headers["Authorization"] else { return nil }
        let parts = field.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return String(parts[1])
    }

    /// What its `traceparent` says; nil without a well-formed one.
    public var traceparent: TraceContext? {
        headers.withValue(.traceparent) { TraceContext(traceparent: $0) } ?? nil
    }

    /// The same as bytes, where the field is exactly `Bearer`, one space and the token, in any case: what clients send.
    public var bearerOctets: [UInt8]? {
        headers.withValue(.authorization) { value -> [UInt8]? in
            guard value.count > 7, Known.equals(value, 0..<7, "bearer "), value[7] != 32 else { return nil }
            return Array(value[7...])
        } ?? nil
    }

    /// The address as the client knows it, `https://host/path?query`. The gateway says scheme and host in
    /// `X-Forwarded-*`, which it never takes from strangers.
    public var publicURL: String { publicOrigin + target }

    /// `https://host` of `publicURL`; empty without a Host.
    public var publicOrigin: String {
        guard let host = headers["X-Forwarded-Host"] ?? headers["Host"], !host.isEmpty else { return "" }
        let scheme = headers["X-Forwarded-Proto"] ?? (isSecure ? "https" : "http")
        return "\(scheme)://\(host)"
    }

    private static func parse(_ bytes: [UInt8]) throws(Problem) -> JSON {
        do throws(JSON.SyntaxError) {
            return try JSON.parse(bytes)
        } catch {
            throw .malformedJSON(error)
        }
    }
}

/// A media type and its parameters (RFC 9110 §8.3.1).
public struct MediaType: Sendable, Hashable {
    /// Lower-cased `type/subtype`; empty when there is none.
    public let name: String
    public let parameters: [String: String]

    public init(_ field: String?) {
        let parts = MediaType.split(field ?? "")
        name = parts.first.map { MediaType.trim($0).lowercased() } ?? ""
        var parameters: [String: String] = [:]
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { continue }
            parameters[MediaType.trim(pair[0]).lowercased()] = MediaType.unquote(MediaType.trim(pair[1]))
        }
        self.parameters = parameters
    }

    /// JSON in UTF-8, the only encoding it has (RFC 8259 §8.1).
    public var isJSON: Bool {
        guard name == "application/json" || (name.hasPrefix("application/") && name.hasSuffix("+json")) else {
            return false
        }
        return parameters["charset"].map { $0.lowercased() == "utf-8" } ?? true
    }

    /// At semicolons outside of quotes.
    private static func split(_ text: String) -> [Substring] {
        var parts: [Substring] = []
        var start = text.startIndex
        var isQuoted = false
        var isEscaped = false
        for index in text.indices {
            switch text[index] {
            case _ where isEscaped: isEscaped = false
            case "\\" where isQuoted: isEscaped = true
            case "\"": isQuoted.toggle()
            case ";" where !isQuoted:
                parts.append(text[start..<index])
                start = text.index(after: index)
            default: break
            }
        }
        parts.append(text[start...])
        return parts
    }

    static func trim(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }

    private static func unquote(_ text: Substring) -> String {
        guard text.count >= 2, text.first == "\"", text.last == "\"" else { return String(text) }
        var result = ""
        var isEscaped = false
        for character in text.dropFirst().dropLast() {
            if character == "\\" && !isEscaped {
                isEscaped = true
            } else {
                result.append(character)
                isEscaped = false
            }
        }
        return result
    }
}
