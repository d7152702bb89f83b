/// Fuzzes the WebSocket frame decoder, in both roles. What must hold for every input: no trap, the same events and the
/// same broken rule however the bytes are cut, and no message over the limit.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFrames(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 2 else { return 0 }
    let input = [UInt8](UnsafeBufferPointer(start: data + 2, count: count - 2))
    let first = min(input.count, Int(data[0]))
    let second = min(input.count, first + Int(data[1]))
    for role in [FrameDecoder.Role.server, .client] {
        let whole = decode([input], role)
        let torn = decode([Array(input[..<first]), Array(input[first..<second]), Array(input[second...])], role)
        precondition(whole.events == torn.events && whole.broken == torn.broken, "the cut changed the outcome")
    }
    let mask = UInt32(data[0]) << 8 | UInt32(data[1])
    precondition(decode([Frame.encode(.binary, input, mask: mask)], .server, max: 1 << 20).events == [.binary(input)])
    return 0
}

private func decode(
    _ pieces: [[UInt8]], _ role: FrameDecoder.Role, max: Int = 512
) -> (events: [FrameDecoder.Event], broken: FrameDecoder.Violation?) {
    var decoder = FrameDecoder(role: role, messageMax: max)
    var events: [FrameDecoder.Event] = []
    for piece in pieces {
        do throws(FrameDecoder.Violation) {
            try piece.withUnsafeBufferPointer { (input) throws(FrameDecoder.Violation) in
                var at = 0
                while let event = try decoder.next(input, &at) {
                    if case .binary(let bytes) = event { precondition(bytes.count <= max) }
                    if case .text(let text) = event { precondition(text.utf8.count <= max) }
                    events.append(event)
                }
            }
        } catch {
            return (events, error)
        }
    }
    return (events, nil)
}
