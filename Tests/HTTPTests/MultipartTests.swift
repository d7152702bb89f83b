import Shared
import Testing

@testable import HTTP

@Suite struct MultipartTests {
    private static let body = [
        "preamble to be ignored", "--xyz", "Content-Disposition: form-data; name=\"title\"", "", "Grüße", "--xyz  ",
        "content-disposition: form-data; name=\"avatar\"; filename=\"C:\\\\dir\\\\a;b \\\"c\\\".png\"",
        "Content-Type: Image/PNG", "", "line one\r\n--xy is no boundary\r\n\r", "--xyz",
        "Content-Disposition: form-data; name=empty", "", "", "--xyz--", "epilogue --xyz",
    ].joined(separator: "\r\n")

    private struct Part: Equatable {
        let head: MultipartHead
        var bytes: [UInt8] = []
        var text: String { String(decoding: bytes, as: UTF8.self) }
    }

    private func parse(
        _ text: String, piece: Int = .max, boundary: String = "xyz", partsMax: Int = 100, headMax: Int = 8192,
        partMax: Int = 1 << 20, totalMax: Int = 1 << 20
    ) throws -> (parts: [Part], isDone: Bool) {
        var limits = MultipartLimits(partMax: partMax, totalMax: totalMax)
        limits.partsMax = partsMax
        limits.headMax = headMax
        var parser = try #require(MultipartParser(boundary: boundary, limits: limits))
        var parts: [Part] = []
        let bytes = Array(text.utf8)
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, piece == .max ? bytes.count : at + piece)
            try parser.append(Array(bytes[at..<end]))
            at = end
            while let event = try parser.next() {
                switch event {
                case .part(let head): parts.append(Part(head: head))
                case .data(let data): parts[parts.count - 1].bytes += data
                case .partEnd, .end: break
                }
            }
        }
        return (parts, parser.isDone)
    }

    @Test func `parts are the same however the body is cut`() throws {
        let whole = try parse(MultipartTests.body)
        #expect(whole.isDone)
        #expect(whole.parts.map(\.head.name) == ["title", "avatar", "empty"])
        #expect(whole.parts.map(\.text) == ["Grüße", "line one\r\n--xy is no boundary\r\n\r", ""])
        #expect(whole.parts.map(\.head.type) == ["text/plain", "image/png", "text/plain"])
        #expect(whole.parts.map(\.head.filename) == [nil, "a;b \"c\".png", nil])
        for piece in 1...80 {
            let cut = try parse(MultipartTests.body, piece: piece)
            #expect(cut.parts == whole.parts, "pieces of \(piece)")
            #expect(cut.isDone)
        }
    }

    @Test(arguments: [
        "--xyz\r\nContent-Disposition: form-data\r\n\r\nx\r\n--xyz--",
        "--xyz\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--xyz--", "--xyz\r\n\r\nx\r\n--xyz--",
        "--xyzzy\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--xyz--",
        "--xyz\r\nno colon\r\n\r\nx\r\n--xyz--",
    ])
    func `a body that is no form is refused`(_ text: String) {
        for piece in [1, 7, Int.max] {
            #expect(throws: MultipartParser.Failure.self) { try parse(text, piece: piece) }
        }
    }

    @Test func `a body without its end is never done`() throws {
        let cut = try parse("--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nabc\r\n--xyz")
        #expect(!cut.isDone)
        #expect(cut.parts.map(\.text) == ["abc"])
    }

    @Test func `every limit holds, whatever the pieces`() {
        func part(_ size: Int) -> String {
            "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n\(String(repeating: "a", count: size))\r\n"
        }
        for piece in [1, 100, Int.max] {
            #expect(throws: MultipartParser.Failure.tooLarge(max: 50)) {
                try parse(part(51) + "--xyz--", piece: piece, partMax: 50)
            }
            #expect(throws: Never.self) { try parse(part(50) + part(50) + "--xyz--", piece: piece, partMax: 50) }
            #expect(throws: MultipartParser.Failure.tooLarge(max: 150)) {
                try parse(part(50) + part(50) + "--xyz--", piece: piece, totalMax: 150)
            }
            #expect(throws: MultipartParser.Failure.tooManyParts) {
                try parse(part(1) + part(1) + part(1) + "--xyz--", piece: piece, partsMax: 2)
            }
            #expect(throws: MultipartParser.Failure.self) {
                try parse("--xyz\r\nX: \(String(repeating: "a", count: 300))", piece: piece, headMax: 200)
            }
        }
    }

    @Test func `a handler reads parts one after the other and may skip`() async throws {
        let route = Route.post("/api/up/", "Upload", access: .everyone, consumes: .multipart) { request in
            let parts = try request.multipart(MultipartLimits(partMax: 1000, totalMax: 4000))
            var names: [String] = []
            while let part = try await parts.next() {
                names.append(part.name)
                if part.name == "title" { names.append(try await part.text()) }
            }
            return Response.json(names)
        }
        let client = TestClient(router([route]))
        let body = Array(MultipartTests.body.utf8)
        let sent = await client.send(
            .post, "/api/up/", headers: ["Content-Type": "multipart/form-data; boundary=xyz"], body: body)
        #expect(try sent.json() == ["title", "Grüße", "avatar", "empty"])
        let torn = await client.send(
            .post, "/api/up/", headers: ["Content-Type": "multipart/form-data; boundary=\"xyz\""],
            body: body.dropLast(30))
        #expect(torn.status == 400)
        let large = await client.send(
            .post, "/api/up/", headers: ["Content-Type": "multipart/form-data; boundary=xyz"],
            body: [UInt8](repeating: 65, count: 5000))
        #expect(large.status == 413)
        for type in ["multipart/form-data", "application/json", "multipart/form-data; boundary=\"\""] {
            #expect(await client.send(.post, "/api/up/", headers: ["Content-Type": type], body: body).status == 415)
        }
    }
}
