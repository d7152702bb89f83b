/// Fuzzes the chunked decoder. What must hold for every input: no trap, and the same content, end and refusal however
/// the bytes are cut.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzChunked(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 2 else { return 0 }
    let input = [UInt8](UnsafeBufferPointer(start: data + 2, count: count - 2))
    let first = min(input.count, Int(data[0]))
    let second = min(input.count, first + Int(data[1]))
    let whole = decode([input])
    let torn = decode([Array(input[..<first]), Array(input[first..<second]), Array(input[second...])])
    precondition(whole == torn, "the cut changed the outcome")
    precondition(decode([ChunkedEncoder.encode(input) + ChunkedEncoder.end])?.content == input)
    return 0
}

private struct Outcome: Equatable {
    var content: [UInt8] = []
    /// How many bytes of all pieces belong to the body; nil when it has not ended.
    var end: Int?
}

private func decode(_ pieces: [[UInt8]]) -> Outcome? {
    var decoder = ChunkedDecoder()
    var outcome = Outcome()
    var before = 0
    for piece in pieces {
        do {
            try piece.withUnsafeBufferPointer { input in
                var at = 0
                loop: while outcome.end == nil {
                    switch try decoder.decode(input, from: at) {
                    case .more: break loop
                    case .data(let range):
                        precondition(!range.isEmpty && range.upperBound <= input.count)
                        outcome.content += input[range]
                        at = range.upperBound
                    case .end(let end): outcome.end = before + end
                    }
                }
            }
        } catch {
            return nil
        }
        before += piece.count
    }
    return outcome
}
