/// The members of a JSON object in the order they were written; two objects with the same members in another order are
/// equal.
public struct JSONObject: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    public private(set) var pairs: [(name: String, value: JSON)] = []
    /// Positions by name, kept once a scan would be slower: a body with 10,000 members must not cost their square.
    private var places: [String: Int]?
    private static let scannedMax = 12

    public init() {}

    /// A repeated name keeps its first place and its last value.
    public init(_ pairs: some Sequence<(String, JSON)>) {
        for (name, value) in pairs { self[name] = value }
    }

    public init(dictionaryLiteral elements: (String, JSON)...) { self.init(elements) }

    public var count: Int { pairs.count }
    public var isEmpty: Bool { pairs.isEmpty }
    public var names: [String] { pairs.map(\.name) }

    /// Setting nil removes the member; setting `.null` keeps it as null.
    public subscript(name: String) -> JSON? {
        get { place(of: name).map { pairs[$0].value } }
        set {
            switch (place(of: name), newValue) {
            case (let place?, let value?): pairs[place].value = value
            case (nil, let value?): append(name, value)
            case (let place?, nil):
                pairs.remove(at: place)
                if places != nil { reindex() }
            case (nil, nil): break
            }
        }
    }

    public func contains(_ name: String) -> Bool { place(of: name) != nil }

    /// These members, overwritten and extended by the other's.
    public func merging(_ other: JSONObject) -> JSONObject {
        var result = self
        for (name, value) in other.pairs { result[name] = value }
        return result
    }

    private func place(of name: String) -> Int? {
        if let places { return places[name] }
        return pairs.firstIndex { $0.name == name }
    }

    private mutating func append(_ name: String, _ value: JSON) {
        pairs.append((name, value))
        if places != nil {
            places?[name] = pairs.count - 1
        } else if pairs.count > JSONObject.scannedMax {
            reindex()
        }
    }

    private mutating func reindex() {
        var places: [String: Int] = [:]
        for (place, pair) in pairs.enumerated() { places[pair.name] = place }
        self.places = places
    }

    public static func == (a: JSONObject, b: JSONObject) -> Bool {
        a.count == b.count && a.pairs.allSatisfy { b[$0.name] == $0.value }
    }

    public func hash(into hasher: inout Hasher) {
        var sum = 0
        for (name, value) in pairs {
            var one = Hasher()
            one.combine(name)
            one.combine(value)
            sum ^= one.finalize()
        }
        hasher.combine(sum)
    }
}
