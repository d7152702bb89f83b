/// Fuzzes the head parsers. What must hold for every input: no trap, the same outcome however the bytes are cut, and a
/// head that was accepted is accepted again, with the same meaning, when it is written out from its parts.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzParser(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 2 else { return 0 }
    let input = [UInt8](UnsafeBufferPointer(start: data + 2, count: count - 2))
    let cut = min(input.count, Int(data[0]) << 1 | Int(data[1] & 1))
    checkRequest(input, cut)
    checkResponse(input, cut)
    return 0
}

private func checkRequest(_ input: [UInt8], _ cut: Int) {
    var whole = RequestParser()
    let outcome = whole.parse(input)
    var torn = RequestParser()
    let early = torn.parse(Array(input[..<cut]))
    switch early {
    case .incomplete: precondition(same(outcome, torn.parse(input)), "the cut changed the outcome")
    case .head: precondition(same(outcome, early), "a head changed when more bytes came")
    case .refused: break
    }
    guard case .head(let head, let consumed) = outcome else { return }
    precondition(consumed <= input.count)
    precondition(head.headers.allSatisfy { head.headers.contains($0.name) }, "a field is not found by its name")
    let again = written(head)
    var second = RequestParser()
    guard case .head(let copy, let length) = second.parse(again) else {
        // An absolute target was split off; only its host can disagree now, and it was checked against Host.
        preconditionFailure("a head that was accepted is refused when written again")
    }
    precondition(length == again.count && copy.framing == head.framing && copy.keepAlive == head.keepAlive)
    precondition(copy.headers.map(\.value) == head.headers.map(\.value))
}

/// Into exactly as much memory as its parts are said to take.
private func written(_ head: RequestHead) -> [UInt8] {
    let line = Array("\(head.method) \(head.target) HTTP/1.\(head.minorVersion)\r\n".utf8)
    return [UInt8](unsafeUninitializedCapacity: line.count + head.headers.writtenMax + 2) { memory, count in
        var pen = Pen(UnsafeMutableBufferPointer(rebasing: memory[..<(line.count + head.headers.writtenMax + 2)]))
        pen.put(line)
        head.headers.write(to: &pen)
        pen.line()
        count = pen.count
    }
}

private func checkResponse(_ input: [UInt8], _ cut: Int) {
    var whole = ResponseParser()
    let outcome = whole.parse(input, method: .get)
    var torn = ResponseParser()
    guard case .incomplete = torn.parse(Array(input[..<cut]), method: .get) else { return }
    let late = torn.parse(input, method: .get)
    switch (outcome, late) {
    case (.incomplete, .incomplete): break
    case (.head(let one, let first), .head(let two, let second)):
        precondition(first == second && one.status == two.status && one.framing == two.framing)
    case (.refused(let one), .refused(let two)): precondition(one == two)
    default: preconditionFailure("the cut changed the outcome")
    }
}

private func same(_ one: Parsed<RequestHead>, _ two: Parsed<RequestHead>) -> Bool {
    switch (one, two) {
    case (.incomplete, .incomplete): true
    case (.refused(let one), .refused(let two)): one == two
    case (.head(let one, let first), .head(let two, let second)):
        first == second && one.target == two.target && one.method == two.method && one.framing == two.framing
    default: false
    }
}
