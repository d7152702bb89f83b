import Shared

/// A validator of a representation (RFC 9110 §8.8.3).
public struct ETag: Hashable, Sendable {
    public let isWeak: Bool
    /// Without the quotes.
    public let tag: String

    /// Same bytes. - Parameter tag: quotes and control characters are dropped.
    public static func strong(_ tag: String) -> ETag { ETag(isWeak: false, tag: clean(tag)) }

    /// Same meaning, such as a row's version.
    public static func weak(_ tag: String) -> ETag { ETag(isWeak: true, tag: clean(tag)) }

    /// Weak, from the content itself: half of its SHA-256.
    public static func of(_ bytes: [UInt8]) -> ETag {
        ETag(isWeak: true, tag: Digest.base64URL(Array(Digest.sha256(bytes).prefix(16))))
    }

    public var text: String { isWeak ? "W/\"\(tag)\"" : "\"\(tag)\"" }

    /// Whether an `If-None-Match` value names it: weak comparison, as §13.1.2 says.
    public func isNamed(by list: String) -> Bool {
        if MediaType.trim(list[...]) == "*" { return true }
        return ETag.tags(in: list).contains { $0.tag == tag }
    }

    /// Whether an `If-Match` value names it: strong comparison (§13.1.1), so a weak tag never does.
    public func isMatched(by list: String) -> Bool {
        if MediaType.trim(list[...]) == "*" { return true }
        return !isWeak && ETag.tags(in: list).contains { !$0.isWeak && $0.tag == tag }
    }

    private init(isWeak: Bool, tag: String) {
        self.isWeak = isWeak
        self.tag = tag
    }

    private static func clean(_ tag: String) -> String {
        String(decoding: tag.utf8.filter { $0 > 0x20 && $0 != 0x22 && $0 != 0x7F }, as: UTF8.self)
    }

    /// Tags may hold commas, so the list is read quote by quote.
    private static func tags(in list: String) -> [ETag] {
        var found: [ETag] = []
        var rest = list[...]
        while let open = rest.firstIndex(of: "\"") {
            let inner = rest[rest.index(after: open)...]
            guard let close = inner.firstIndex(of: "\"") else { break }
            found.append(ETag(isWeak: rest[..<open].hasSuffix("W/"), tag: String(inner[..<close])))
            rest = inner[inner.index(after: close)...]
        }
        return found
    }
}

extension Response {
    /// The answer to a conditional GET: with an ETag, and 304 without content when the client has it already. The
    /// router applies it to what GET routes of the two API families return; others call it themselves.
    /// - Parameter etag: when known without the content; else it is made of the content.
    public func conditional(_ request: Request, etag: ETag? = nil) -> Response {
        guard request.method == .get || request.method == .head, status == 200 else { return self }
        var response = self
        let field: String
        if let etag {
            field = etag.text
        } else if let given = headers["ETag"] {
            field = given
        } else if case .bytes(let bytes) = body {
            field = ETag.of(bytes).text
        } else {
            return self
        }
        response.headers.set("ETag", field)
        guard let asked = request.headers["If-None-Match"], ETag.isCurrent(field, asked) else { return response }
        response.status = 304
        response.body = .empty
        response.headers.remove("Content-Type")
        return response
    }

    /// Answers before anything is read from the database: 304 when the client's copy carries this tag.
    public static func notModified(_ request: Request, _ etag: ETag) -> Response? {
        guard let asked = request.headers["If-None-Match"], etag.isNamed(by: asked) else { return nil }
        return Response(status: 304, headers: ["ETag": etag.text])
    }
}

extension ETag {
    fileprivate static func isCurrent(_ field: String, _ asked: String) -> Bool {
        guard let own = tags(in: field).first else { return false }
        return own.isNamed(by: asked)
    }
}
