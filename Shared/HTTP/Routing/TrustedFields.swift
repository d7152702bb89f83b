import Runtime

extension Headers {
    /// Adds a field whose name is ours and whose value is known to hold no control character: nothing is looked at
    /// twice. Every response gets some of these.
    mutating func addTrusted(_ name: StaticString, _ value: String) {
        let start = bytes.count
        let nameLength = name.utf8CodeUnitCount
        bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: nameLength))
        var value = value
        let valueLength = value.withUTF8 { text in
            bytes.append(contentsOf: text)
            return text.count
        }
        slots.append(
            Slot(
                name: UInt32(start), value: UInt32(start + nameLength), valueLength: UInt32(valueLength),
                nameLength: UInt16(nameLength)))
    }

    /// The same in place of whatever the handler said.
    mutating func setTrusted(_ name: StaticString, _ value: String) {
        remove("\(name)")
        addTrusted(name, value)
    }
}
