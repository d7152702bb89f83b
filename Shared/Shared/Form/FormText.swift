/// Fields that are text, and the values made of it.
extension Form {
    /// A required text of `min` to `max` characters (Unicode scalars).
    /// - Parameter trimmed: drop white space at both ends first; false for secrets.
    public mutating func string(_ name: String, min: Int = 1, max: Int = 10_000, trimmed: Bool = true) -> String {
        guard has(name, orRequired: true) else { return "" }
        return optionalString(name, min: min, max: max, trimmed: trimmed) ?? ""
    }

    public mutating func optionalString(
        _ name: String, min: Int = 0, max: Int = 10_000, trimmed: Bool = true
    ) -> String? {
        guard let value = value(name) else { return nil }
        guard let raw = value.string else {
            fail(name, "must be a string")
            return nil
        }
        return checked(name, trimmed ? raw.trimmingWhitespace() : raw, min: min, max: max)
    }

    /// Up to `max` texts of up to `each` characters. In a query: the parameter repeated, or separated by commas.
    public mutating func strings(_ name: String, max: Int = 100, each: Int = 1000) -> [String]? {
        guard let found = values(name) else { return nil }
        var elements = found.array ?? [found]
        if readsText {
            elements = elements.flatMap { ($0.string ?? "").split(separator: ",").map { .string(String($0)) } }
        } else if found.array == nil {
            fail(name, "must be a list of strings")
            return nil
        }
        guard elements.count <= max else {
            fail(name, "may have \(max) elements at most")
            return nil
        }
        var result: [String] = []
        for element in elements {
            guard let text = element.string else {
                fail(name, "must be a list of strings")
                return nil
            }
            guard let text = checked(name, text.trimmingWhitespace(), min: 0, max: each) else { return nil }
            result.append(text)
        }
        return result
    }

    /// One of an enumeration's texts.
    public mutating func choice<Choice>(_ name: String, as type: Choice.Type) -> Choice
    where Choice: RawRepresentable & CaseIterable, Choice.RawValue == String {
        let choice = has(name, orRequired: true) ? optionalChoice(name, as: type) : nil
        // An enumeration without cases cannot be chosen from; every other has a first.
        return choice ?? Choice.allCases[Choice.allCases.startIndex]
    }

    public mutating func optionalChoice<Choice>(_ name: String, as type: Choice.Type) -> Choice?
    where Choice: RawRepresentable & CaseIterable, Choice.RawValue == String {
        guard let value = value(name) else { return nil }
        if let text = value.string, let choice = Choice(rawValue: text) { return choice }
        fail(name, "must be one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        return nil
    }

    /// Several of an enumeration's texts.
    public mutating func choices<Choice>(_ name: String, as type: Choice.Type) -> [Choice]?
    where Choice: RawRepresentable & CaseIterable, Choice.RawValue == String {
        guard let texts = strings(name, max: Choice.allCases.count) else { return nil }
        let choices = texts.compactMap(Choice.init(rawValue:))
        if choices.count != texts.count {
            fail(name, "may hold only \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return choices
    }

    public mutating func id<Of>(_ name: String, as type: ID<Of>.Type) -> ID<Of> {
        let id = has(name, orRequired: true) ? optionalID(name, as: type) : nil
        return id ?? ID(high: 0, low: 0)
    }

    public mutating func optionalID<Of>(_ name: String, as type: ID<Of>.Type) -> ID<Of>? {
        parsed(name, "must be a UUID such as 0198c5d2-7a10-7cc3-98c5-d27a10acc3f1") { ID<Of>($0) }
    }

    public mutating func ids<Of>(_ name: String, as type: ID<Of>.Type, max: Int = 1000) -> [ID<Of>]? {
        guard let texts = strings(name, max: max, each: 36) else { return nil }
        let ids = texts.compactMap { ID<Of>($0) }
        if ids.count != texts.count { fail(name, "must be a list of UUIDs") }
        return ids
    }

    public mutating func phone(_ name: String) -> PhoneNumber {
        let phone = has(name, orRequired: true) ? optionalPhone(name) : nil
        return phone ?? .placeholder
    }

    public mutating func optionalPhone(_ name: String) -> PhoneNumber? {
        parsed(name, "must be an E.164 phone number such as +14155550123") { PhoneNumber($0) }
    }

    public mutating func email(_ name: String) -> EmailAddress {
        let email = has(name, orRequired: true) ? optionalEmail(name) : nil
        return email ?? .placeholder
    }

    public mutating func optionalEmail(_ name: String) -> EmailAddress? {
        parsed(name, "must be an e-mail address such as anna@example.com") { EmailAddress($0) }
    }

    public mutating func instant(_ name: String) -> Instant {
        let instant = has(name, orRequired: true) ? optionalInstant(name) : nil
        return instant ?? Instant(microseconds: 0)
    }

    public mutating func optionalInstant(_ name: String) -> Instant? {
        parsed(name, "must be an ISO 8601 instant with its offset such as 2026-01-31T14:30:00Z") { Instant(iso: $0) }
    }

    /// `from_date` or `to_date`: a day or an instant.
    public mutating func dateBound(_ name: String) -> DateBound {
        let bound = has(name, orRequired: true) ? optionalDateBound(name) : nil
        return bound ?? .instant(Instant(microseconds: 0))
    }

    public mutating func optionalDateBound(_ name: String) -> DateBound? {
        parsed(name, "must be a date such as 2026-01-31 or an instant such as 2026-01-31T14:30:00Z") { DateBound($0) }
    }

    /// `from_date` and `to_date` together; complains when the range ends before it starts.
    public mutating func dateRange(
        from: String = "from_date", to: String = "to_date", required: Bool = false
    ) -> (from: DateBound?, to: DateBound?) {
        if required {
            _ = has(from, orRequired: true)
            _ = has(to, orRequired: true)
        }
        let (first, last) = (optionalDateBound(from), optionalDateBound(to))
        if let first, let last, last.endInUTC < first.firstInUTC { fail(to, "must not be before \(from)") }
        return (first, last)
    }

    /// An amount as a decimal string or a number.
    public mutating func money(_ name: String, currency: String = "USD") -> Money {
        let money = has(name, orRequired: true) ? optionalMoney(name, currency: currency) : nil
        return money ?? Money(minor: 0, currency: currency)
    }

    public mutating func optionalMoney(_ name: String, currency: String = "USD") -> Money? {
        guard let value = value(name) else { return nil }
        let text = value.string ?? (value.double == nil ? nil : value.jsonText)
        if let money = text.flatMap({ Money(decimal: $0, currency: currency) }) { return money }
        fail(name, "must be an amount in \(currency) such as \(Money(minor: 2999, currency: currency).decimal)")
        return nil
    }
}

extension Form {

    /// Whether the field has a value; complains when it has none.
    mutating func has(_ name: String, orRequired: Bool) -> Bool {
        if value(name) != nil { return true }
        // An empty text in a query is absent, and in a body it is present: `min` judges that one.
        fail(name, "is required")
        return false
    }

    mutating func parsed<Value>(_ name: String, _ message: String, _ parse: (String) -> Value?) -> Value? {
        guard let value = value(name) else { return nil }
        // No value made of text is longer than an e-mail address with its white space.
        if let text = value.string, text.utf8.count <= 512, let parsed = parse(text.trimmingWhitespace()) {
            return parsed
        }
        fail(name, message)
        return nil
    }

    private mutating func checked(_ name: String, _ text: String, min: Int, max: Int) -> String? {
        // PostgreSQL cannot hold a NUL in text.
        if text.utf8.contains(0) {
            fail(name, "must not contain the character U+0000")
            return nil
        }
        let length = text.unicodeScalars.count
        if length < min {
            fail(name, min == 1 ? "must not be empty" : "must have at least \(min) characters")
            return nil
        }
        if length > max {
            fail(name, "may have \(max) characters at most")
            return nil
        }
        return text
    }
}
