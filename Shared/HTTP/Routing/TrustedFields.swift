import Runtime

extension Headers {
    /// Adds a field whose name is ours and whose value is known to hold no control character: nothing is looked at
    /// twice. Every response gets some of these.
    public mutating func addTrusted(_ name: StaticString, _ value: String) {
        Self.withOctets(value) { addTrusted(name, $0) }
    }

    public mutating func addTrusted(_ name: StaticString, _ value: Int) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { memory in
            var pen = Pen(memory)
            pen.put(decimal: value)
            addTrusted(name, pen.written)
        }
    }

    public mutating func addTrusted(_ name: StaticString, _ value: UnsafeBufferPointer<UInt8>) {
        let start = bytes.count
        let octets = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        let length = octets.count + 2 + value.count
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: length) { memory in
            var pen = Pen(memory)
            pen.put(octets)
            // As it is to be written, so that it can be copied in one piece.
            pen.put(58)
            pen.put(32)
            pen.put(value)
            bytes.append(contentsOf: pen.written)
        }
        note(
            name: start..<start + octets.count, value: start + octets.count + 2..<start + length,
            kind: FieldName(octets))
    }

    /// The same in place of whatever the handler said.
    public mutating func setTrusted(_ name: StaticString, _ value: String) {
        remove(name)
        addTrusted(name, value)
    }

    /// A number, not below zero.
    public mutating func setTrusted(_ name: StaticString, _ value: Int) {
        remove(name)
        addTrusted(name, Swift.max(0, value))
    }

    private mutating func remove(_ name: StaticString) {
        let octets = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        remove(FieldName(octets), octets)
    }
}
