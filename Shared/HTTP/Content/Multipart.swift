import Shared

/// The parts of a `multipart/form-data` body, one after the other, as they arrive.
///
/// ```swift
/// let parts = try request.multipart(MultipartLimits(partMax: 5 << 20, totalMax: 6 << 20))
/// while let part = try await parts.next() { … try await part.bytes() … }
/// ```
public final class Multipart {
    private let body: Body
    private var parser: MultipartParser
    /// Numbers the parts, so that an old one cannot read a newer one's bytes.
    private var current = 0
    private var isInPart = false

    init(_ body: Body, _ parser: MultipartParser) {
        self.body = body
        self.parser = parser
    }

    /// The next part; what is left of the one before is skipped. nil after the last.
    public func next() async throws -> MultipartPart? {
        while let event = try await event() {
            switch event {
            case .part(let head):
                current += 1
                isInPart = true
                return MultipartPart(head, self, current)
            case .data: continue
            case .partEnd: isInPart = false
            case .end: return nil
            }
        }
        return nil
    }

    func chunk(of part: Int) async throws -> [UInt8]? {
        guard part == current, isInPart else { return nil }
        guard case .data(let bytes)? = try await event() else {
            isInPart = false
            return nil
        }
        return bytes
    }

    private func event() async throws -> MultipartParser.Event? {
        do {
            while !parser.isDone {
                if let event = try parser.next() { return event }
                guard let bytes = try await body.next() else {
                    throw Problem(.badRequest, "The multipart body ends before its closing boundary.")
                }
                try parser.append(bytes)
            }
            return nil
        } catch let failure as MultipartParser.Failure {
            throw Multipart.problem(failure)
        }
    }

    private static func problem(_ failure: MultipartParser.Failure) -> Problem {
        switch failure {
        case .malformed(let reason): Problem(.badRequest, reason, cause: failure)
        case .tooManyParts: Problem(.payloadTooLarge, "The body has too many parts.", cause: failure)
        case .tooLarge(let max): .payloadTooLarge(max: max)
        }
    }
}

/// One part, readable until the next one is asked for.
public final class MultipartPart {
    public let head: MultipartHead
    private let parts: Multipart
    private let number: Int

    init(_ head: MultipartHead, _ parts: Multipart, _ number: Int) {
        self.head = head
        self.parts = parts
        self.number = number
    }

    public var name: String { head.name }

    /// The next bytes; nil at the part's end. Over the limits → 413.
    public func next() async throws -> [UInt8]? { try await parts.chunk(of: number) }

    /// All bytes, at most the limits' `partMax`.
    public func bytes() async throws -> [UInt8] {
        var whole: [UInt8] = []
        while let chunk = try await next() { whole.append(contentsOf: chunk) }
        return whole
    }

    /// A plain field's text; broken UTF-8 is refused.
    public func text() async throws -> String {
        guard let text = String(validating: try await bytes(), as: UTF8.self) else {
            throw Problem.validation(name, "must be UTF-8 text")
        }
        return text
    }
}

extension Request {
    /// - Throws: 415 when the body is no `multipart/form-data` with a boundary.
    public func multipart(_ limits: MultipartLimits) throws(Problem) -> Multipart {
        let type = MediaType(headers["Content-Type"])
        guard type.name == "multipart/form-data", let boundary = type.parameters["boundary"],
            let parser = MultipartParser(boundary: boundary, limits: limits)
        else { throw .unsupportedMediaType(expected: "multipart/form-data") }
        if let length = body.length, length > limits.totalMax { throw .payloadTooLarge(max: limits.totalMax) }
        return Multipart(body, parser)
    }
}
