import Testing

@testable import HTTP

/// The content of a chunked body given in pieces, and what is left behind it; nil when it does not end.
private func decode(_ pieces: [[UInt8]]) throws -> (content: [UInt8], rest: [UInt8])? {
    var decoder = ChunkedDecoder()
    var content: [UInt8] = []
    for (index, piece) in pieces.enumerated() {
        let end: Int? = try piece.withUnsafeBufferPointer { input in
            var at = 0
            while true {
                switch try decoder.decode(input, from: at) {
                case .more: return nil
                case .data(let range):
                    content += input[range]
                    at = range.upperBound
                case .end(let end): return end
                }
            }
        }
        if let end { return (content, Array(piece[end...]) + pieces[(index + 1)...].flatMap(\.self)) }
    }
    return nil
}

@Suite struct ChunkedTests {
    let body = Array("5;x=y\r\nhello\r\n00A\r\n, world...\r\n0\r\nTrailer: t\r\n\r\nNEXT".utf8)

    @Test func `a body cut at any two bytes gives the same content`() throws {
        for first in 0..<body.count {
            for second in first..<body.count {
                let pieces = [Array(body[..<first]), Array(body[first..<second]), Array(body[second...])]
                let found = try #require(try decode(pieces))
                #expect(found.content == Array("hello, world...".utf8))
                #expect(found.rest == Array("NEXT".utf8))
            }
        }
    }

    @Test func `what the encoder writes the decoder reads`() throws {
        let wire =
            ChunkedEncoder.encode(Array("abc".utf8)) + ChunkedEncoder.encode([UInt8](repeating: 1, count: 70_000))
            + ChunkedEncoder.encode([]) + ChunkedEncoder.end
        let found = try #require(try decode([wire]))
        #expect(found.content.count == 70_003)
        #expect(found.rest.isEmpty)
    }

    @Test(arguments: [
        "g\r\n", "\r\n", " 5\r\nhello", "5 \r\nhello", "+5\r\nhello", "-1\r\n", "0x5\r\n", "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\rX", "5\rX", "5;a\u{1}b\r\n", "5;a\nb\r\n",
        "8000000000000000\r\n", "FFFFFFFFFFFFFFFFF\r\n", "0\r\nA B: c\r\n\r\n", "0\r\n: c\r\n\r\n", "0\r\nA: c\n\r\n",
        "0\r\n\n", "0\r\nA: \0\r\n\r\n", "0\r\n A: b\r\n\r\n",
    ])
    func `sizes that are not plain hexadecimal, wrong line ends and bad trailers are refused`(_ text: String) {
        #expect(throws: Refusal.self) { _ = try decode([Array(text.utf8)]) }
    }

    @Test func `extensions and trailers are capped`() {
        let extensions = String(repeating: "1;" + String(repeating: "x", count: 1000) + "\r\na\r\n", count: 5)
        #expect(throws: Refusal.self) { _ = try decode([Array(extensions.utf8)]) }
        let trailers = "0\r\n" + String(repeating: "A: " + String(repeating: "x", count: 1000) + "\r\n", count: 5)
        #expect(throws: Refusal.self) { _ = try decode([Array(trailers.utf8)]) }
    }

    @Test func `a body without its last chunk has not ended`() throws {
        #expect(try decode([Array("5\r\nhello\r\n".utf8)]) == nil)
        #expect(try decode([Array("5\r\nhello\r\n0\r\n".utf8)]) == nil)
    }
}
