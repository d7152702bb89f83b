/// A value that can write itself as exactly one JSON value.
public protocol JSONWritable {
    func write(to json: inout JSONWriter)
}

extension JSONWritable {
    public var jsonBytes: [UInt8] {
        var json = JSONWriter()
        write(to: &json)
        return json.bytes
    }

    public var jsonText: String {
        var json = JSONWriter()
        write(to: &json)
        return json.text
    }
}

/// An enumeration with text is written as that text; it only has to name the protocol.
extension JSONWritable where Self: RawRepresentable, RawValue == String {
    public func write(to json: inout JSONWriter) { json.value(rawValue) }
}

extension String: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(self) }
}

extension Substring: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(String(self)) }
}

extension Bool: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(self) }
}

extension Int: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(Int64(self)) }
}

extension Int32: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(Int64(self)) }
}

extension Int64: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(self) }
}

extension Double: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(self) }
}

extension ID: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(self) }
}

extension Instant: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(self) }
}

extension PhoneNumber: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(text) }
}

extension EmailAddress: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(text) }
}

/// A decimal string; where a document shows a number write `double`.
extension Money: JSONWritable {
    public func write(to json: inout JSONWriter) { json.value(decimal) }
}

extension Optional: JSONWritable where Wrapped: JSONWritable {
    public func write(to json: inout JSONWriter) {
        if let value = self { value.write(to: &json) } else { json.null() }
    }
}

extension Array: JSONWritable where Element: JSONWritable {
    public func write(to json: inout JSONWriter) {
        json.array { json in
            for element in self { element.write(to: &json) }
        }
    }
}

/// In the order of the names, so that the same value is always the same text.
extension Dictionary: JSONWritable where Key == String, Value: JSONWritable {
    public func write(to json: inout JSONWriter) {
        json.object { json in
            for (name, value) in sorted(by: { $0.key < $1.key }) { json.field(name, value) }
        }
    }
}

extension JSON: JSONWritable {
    public func write(to json: inout JSONWriter) {
        switch self {
        case .null: json.null()
        case .bool(let value): json.value(value)
        case .int(let value): json.value(value)
        case .double(let value): json.value(value)
        case .string(let value): json.value(value)
        case .array(let values): values.write(to: &json)
        case .object(let object): object.write(to: &json)
        }
    }
}

extension JSONObject: JSONWritable {
    public func write(to json: inout JSONWriter) {
        json.object { json in
            for (name, value) in pairs { json.field(name, value) }
        }
    }
}
