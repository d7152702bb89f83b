/// Fields that are numbers, truth values or have parts of their own.
extension Form {
    public mutating func int(_ name: String, in range: ClosedRange<Int> = Int.min...Int.max) -> Int {
        let int = has(name, orRequired: true) ? optionalInt(name, in: range) : nil
        return int ?? range.lowerBound
    }

    public mutating func optionalInt(_ name: String, in range: ClosedRange<Int> = Int.min...Int.max) -> Int? {
        guard let value = value(name) else { return nil }
        let number = readsText ? value.string.flatMap { Form.wholeNumber($0) } : value.int
        guard let number, range.contains(number) else {
            fail(name, "must be a whole number\(Form.bounds(range, unbounded: Int.min...Int.max))")
            return nil
        }
        return number
    }

    public mutating func optionalInt(
        _ name: String, in range: ClosedRange<Int> = Int.min...Int.max, default fallback: Int
    ) -> Int {
        optionalInt(name, in: range) ?? fallback
    }

    public mutating func double(
        _ name: String, in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
    ) -> Double {
        let double = has(name, orRequired: true) ? optionalDouble(name, in: range) : nil
        return double ?? range.lowerBound
    }

    public mutating func optionalDouble(
        _ name: String, in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
    ) -> Double? {
        guard let value = value(name) else { return nil }
        // JSON's own grammar also for text: Swift would read "nan", "0x1p3" and "infinity" as well.
        let number = readsText ? value.string.flatMap { try? JSON.parse($0).double } : value.double
        guard let number, range.contains(number) else {
            let all = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
            fail(name, "must be a number\(Form.bounds(range, unbounded: all))")
            return nil
        }
        return number
    }

    public mutating func bool(_ name: String) -> Bool {
        (has(name, orRequired: true) ? optionalBool(name) : nil) ?? false
    }

    public mutating func optionalBool(_ name: String) -> Bool? {
        guard let value = value(name) else { return nil }
        if let bool = value.bool { return bool }
        if readsText, let text = value.string {
            // 1 and 0, and Python's spelling, are what Django's clients send.
            if ["true", "True", "1"].contains(text) { return true }
            if ["false", "False", "0"].contains(text) { return false }
        }
        fail(name, "must be true or false")
        return nil
    }

    public mutating func optionalBool(_ name: String, default fallback: Bool) -> Bool {
        optionalBool(name) ?? fallback
    }

    /// A free-form object, such as `metadata`.
    /// - Parameter max: bytes of its JSON text.
    public mutating func object(_ name: String, max: Int = 65_536) -> JSONObject? {
        guard let value = value(name) else { return nil }
        guard let object = value.object else {
            fail(name, "must be an object")
            return nil
        }
        let text = object.jsonBytes
        if text.count > max {
            fail(name, "may have \(max) bytes of JSON at most")
            return nil
        }
        if Form.holdsNUL(value) {
            fail(name, "must not contain the character U+0000")
            return nil
        }
        return object
    }

    /// Reads a member that is an object with a form of its own; its complaints are named `name.member`.
    /// - Returns: nil when the member is absent or no object.
    @discardableResult
    public mutating func nested<Value>(
        _ name: String, required: Bool = false, _ read: (inout Form) -> Value
    ) -> Value? {
        guard required ? has(name, orRequired: true) : value(name) != nil else { return nil }
        guard let object = value(name)?.object else {
            fail(name, "must be an object")
            return nil
        }
        return inner(object, name, read)
    }

    /// Reads a member that is a list of objects; the complaints about one are named `name[2].member`.
    public mutating func each<Value>(
        _ name: String, max: Int = 100, _ read: (inout Form) -> Value
    ) -> [Value]? {
        guard let value = value(name) else { return nil }
        guard let elements = value.array, elements.count <= max else {
            fail(name, "must be a list of \(max) objects at most")
            return nil
        }
        var result: [Value] = []
        for (index, element) in elements.enumerated() {
            guard let object = element.object else {
                fail("\(name)[\(index)]", "must be an object")
                continue
            }
            result.append(inner(object, "\(name)[\(index)]", read))
        }
        return result
    }

    private mutating func inner<Value>(
        _ object: JSONObject, _ prefix: String, _ read: (inout Form) -> Value
    ) -> Value {
        var form = Form(object)
        let value = read(&form)
        for (name, message) in form.failed { fail("\(prefix).\(name)", message) }
        return value
    }

    /// Digits with at most a minus: no plus sign, no underscore, no spaces.
    private static func wholeNumber(_ text: String) -> Int? {
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }

    private static func bounds<Number: Comparable>(
        _ range: ClosedRange<Number>, unbounded: ClosedRange<Number>
    ) -> String {
        switch (range.lowerBound > unbounded.lowerBound, range.upperBound < unbounded.upperBound) {
        case (true, true): " from \(range.lowerBound) to \(range.upperBound)"
        case (true, false): " of at least \(range.lowerBound)"
        case (false, true): " of at most \(range.upperBound)"
        case (false, false): ""
        }
    }

    private static func holdsNUL(_ value: JSON) -> Bool {
        switch value {
        case .string(let text): text.utf8.contains(0)
        case .array(let values): values.contains(where: holdsNUL)
        case .object(let object): object.pairs.contains { $0.name.utf8.contains(0) || holdsNUL($0.value) }
        default: false
        }
    }
}
