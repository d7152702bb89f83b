import Testing

@testable import HTTP

private typealias Event = FrameDecoder.Event

private func decode(_ bytes: [UInt8], _ role: FrameDecoder.Role = .server, max: Int = 65536, cut: Int? = nil) throws
    -> [Event]
{
    var decoder = FrameDecoder(role: role, messageMax: max)
    var events: [Event] = []
    for piece in cut.map({ [Array(bytes[..<$0]), Array(bytes[$0...])] }) ?? [bytes] {
        try piece.withUnsafeBufferPointer { input in
            var at = 0
            while let event = try decoder.next(input, &at) { events.append(event) }
            #expect(at == input.count)
        }
    }
    return events
}

/// A masked client frame with any first octet.
private func frame(_ first: UInt8, _ payload: [UInt8], mask: [UInt8]? = [1, 2, 3, 4]) -> [UInt8] {
    var bytes = [first]
    let bit: UInt8 = mask == nil ? 0 : 0x80
    if payload.count < 126 {
        bytes.append(bit | UInt8(payload.count))
    } else {
        bytes += [bit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
    }
    guard let mask else { return bytes + payload }
    return bytes + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
}

private func violation(_ bytes: [UInt8], _ role: FrameDecoder.Role = .server, max: Int = 65536) -> CloseCode? {
    do {
        _ = try decode(bytes, role, max: max)
        return nil
    } catch {
        return (error as? FrameDecoder.Violation)?.code
    }
}

@Suite struct WebSocketFramesTests {
    @Test func `frames cut at any byte give the same events`() throws {
        let bytes =
            frame(0x01, Array("grü".utf8.dropLast())) + frame(0x89, [7]) + frame(0x00, Array("ü".utf8.dropFirst()))
            + frame(0x80, Array("n".utf8)) + frame(0x82, [UInt8](repeating: 9, count: 300)) + frame(0x8A, [])
            + frame(0x88, [0x03, 0xE8] + Array("bye".utf8))
        let expected: [Event] = [
            .ping([7]), .text("grün"), .binary([UInt8](repeating: 9, count: 300)), .pong([]), .close(.normal, "bye"),
        ]
        for cut in 0...bytes.count { #expect(try decode(bytes, cut: cut) == expected) }
    }

    @Test func `every length in its own form survives encoding and decoding, masked and unmasked`() throws {
        for count in [0, 1, 7, 8, 9, 125, 126, 127, 1000, 65535, 65536, 70_000] {
            let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let masked = Frame.encode(.binary, payload, mask: 0xA1B2_C3D4)
            #expect(try decode(masked, .server, max: 1 << 20) == [.binary(payload)])
            #expect(try decode(Frame(.binary, payload).bytes, .client, max: 1 << 20) == [.binary(payload)])
        }
    }

    @Test func `an unmasked client and a masked server break the protocol`() {
        #expect(violation(frame(0x81, [65], mask: nil)) == .protocolError)
        #expect(violation(frame(0x81, [65]), .client) == .protocolError)
    }

    @Test(arguments: [0xC1, 0xA1, 0x91, 0x83, 0x87, 0x8B, 0x8F] as [UInt8])
    func `reserved bits and opcodes break the protocol`(_ first: UInt8) {
        #expect(violation(frame(first, [])) == .protocolError)
    }

    @Test func `fragmented and long control frames break the protocol`() {
        #expect(violation(frame(0x09, [])) == .protocolError)
        #expect(violation(frame(0x08, [])) == .protocolError)
        #expect(violation(frame(0x89, [UInt8](repeating: 0, count: 126))) == .protocolError)
        #expect(violation(frame(0x89, [UInt8](repeating: 0, count: 125))) == nil)
    }

    @Test func `a continuation of nothing and a message inside another break the protocol`() {
        #expect(violation(frame(0x80, [1])) == .protocolError)
        #expect(violation(frame(0x01, [65]) + frame(0x81, [65])) == .protocolError)
        #expect(violation(frame(0x02, [65]) + frame(0x01, [65])) == .protocolError)
    }

    @Test func `a length not in its shortest form breaks the protocol`() {
        #expect(violation([0x82, 0xFE, 0, 125, 1, 2, 3, 4]) == .protocolError)
        #expect(violation([0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 1, 2, 3, 4]) == .protocolError)
        #expect(violation([0x82, 0xFF, 0x80, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], max: .max) == .protocolError)
    }

    @Test func `a message too big is refused by its header, also as the sum of fragments`() {
        #expect(violation([0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4]) == .messageTooBig)
        #expect(violation(frame(0x02, [1, 2, 3]) + frame(0x80, [4, 5]), max: 4) == .messageTooBig)
        #expect(violation(frame(0x02, [1, 2, 3]) + frame(0x80, [4]), max: 4) == nil)
    }

    @Test(
        arguments: [
            [0xFF], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5], [0x80],
            [65, 66, 67, 68, 69, 70, 71, 72, 73, 0xC3, 65], [0xE2, 0x82],
        ] as [[UInt8]])
    func `text that is not UTF-8 closes with 1007`(_ payload: [UInt8]) {
        #expect(violation(frame(0x81, payload)) == .invalidPayload)
    }

    @Test func `broken text is noticed before its frame is complete`() {
        let whole = frame(0x81, [65, 0xFF] + [UInt8](repeating: 65, count: 50))
        #expect(violation(Array(whole.prefix(10))) == .invalidPayload)
    }

    @Test func `a character may be cut by a fragment border but not by the end`() {
        #expect(violation(frame(0x01, [0xE2, 0x82]) + frame(0x80, [0xAC])) == nil)
        #expect(violation(frame(0x01, [0xE2, 0x82]) + frame(0x80, [])) == .invalidPayload)
    }

    @Test func `a close frame holds nothing or a code that may be sent and good text`() throws {
        #expect(try decode(frame(0x88, [])) == [.close(.noStatus, "")])
        #expect(violation(frame(0x88, [3])) == .protocolError)
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] as [UInt16] {
            #expect(violation(frame(0x88, [UInt8(code >> 8), UInt8(code & 255)])) == .protocolError)
        }
        for code in [1000, 1001, 1011, 1013, 3000, 4999] as [UInt16] {
            #expect(violation(frame(0x88, [UInt8(code >> 8), UInt8(code & 255)])) == nil)
        }
        #expect(violation(frame(0x88, [3, 0xE8, 0xFF])) == .invalidPayload)
    }

    @Test func `a long close reason is cut at a character`() {
        let payload = Frame.closePayload(.normal, String(repeating: "é", count: 100))
        #expect(payload.count == 124)
        #expect(String(validating: payload[2...], as: UTF8.self) != nil)
    }

    @Test func `random bytes never crash the decoder`() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            for role in [FrameDecoder.Role.server, .client] {
                var decoder = FrameDecoder(role: role, messageMax: 1024)
                bytes.withUnsafeBufferPointer { input in
                    var at = 0
                    while let event = try? decoder.next(input, &at) { _ = event }
                }
            }
        }
    }
}
