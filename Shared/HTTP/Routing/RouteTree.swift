/// Finds the route of a path: a tree over segments, literal words before parameters, so that `/users/me` is never
/// taken for an id. Pure and immutable; a lookup allocates nothing but the parameters' values.
struct RouteTree: Sendable {
    private struct Node: Sendable {
        var literals: [(word: [UInt8], node: Int)] = []
        var parameter: Int?
        /// `{name*}`: takes whatever is left.
        var rest: [Endpoint] = []
        var endpoints: [Endpoint] = []
    }

    private struct Endpoint: Sendable {
        let method: Method
        let route: Int
    }

    enum Match {
        /// Index of the route and the parameters' values in the pattern's order, percent-decoded. A value whose escapes
        /// are malformed is left undecoded: it is no valid id and becomes the same 404 as an unknown one.
        case route(Int, values: [String])
        case wrongMethod(allowed: [String])
        case none
    }

    private var nodes = [Node()]

    /// Two routes for the same method and path are a mistake in the table, reported as text; nil when added.
    mutating func add(_ method: Method, _ pattern: String, route: Int) -> String? {
        let segments = pattern.split(separator: "/", omittingEmptySubsequences: true)
        var at = 0
        for (index, segment) in segments.enumerated() {
            if PathNames.parameter(segment) == nil {
                at = child(of: at, word: Array(segment.utf8))
            } else if segment.hasSuffix("*}") {
                guard index == segments.count - 1 else { return "\(pattern): the rest must come last" }
                return insert(Endpoint(method: method, route: route), \.rest, at, pattern)
            } else {
                at = parameterChild(of: at)
            }
        }
        return insert(Endpoint(method: method, route: route), \.endpoints, at, pattern)
    }

    private mutating func insert(
        _ endpoint: Endpoint, _ list: WritableKeyPath<Node, [Endpoint]>, _ node: Int, _ pattern: String
    ) -> String? {
        if nodes[node][keyPath: list].contains(where: { $0.method == endpoint.method }) {
            return "\(endpoint.method) \(pattern) is there twice"
        }
        nodes[node][keyPath: list].append(endpoint)
        return nil
    }

    private mutating func child(of node: Int, word: [UInt8]) -> Int {
        if let found = nodes[node].literals.first(where: { $0.word == word }) { return found.node }
        nodes.append(Node())
        nodes[node].literals.append((word, nodes.count - 1))
        return nodes.count - 1
    }

    private mutating func parameterChild(of node: Int) -> Int {
        if let found = nodes[node].parameter { return found }
        nodes.append(Node())
        nodes[node].parameter = nodes.count - 1
        return nodes.count - 1
    }

    // MARK: - Looking up

    /// - Parameter target: path and query as sent.
    func find(_ method: Method, _ target: String) -> Match {
        let found = target.utf8.withContiguousStorageIfAvailable { find(method, $0) }
        if let found { return found }
        return Array(target.utf8).withUnsafeBufferPointer { find(method, $0) }
    }

    private func find(_ method: Method, _ target: UnsafeBufferPointer<UInt8>) -> Match {
        let end = target.firstIndex(of: UInt8(ascii: "?")) ?? target.count
        let path = UnsafeBufferPointer(rebasing: target[..<end])
        guard path.first == UInt8(ascii: "/") else { return .none }
        var ranges: [Range<Int>] = []
        guard let endpoints = walk(0, path, 1, &ranges) else { return .none }
        guard let endpoint = endpoints.first(where: { $0.method == method }) ?? headFallback(method, endpoints) else {
            return .wrongMethod(allowed: allowed(endpoints))
        }
        return .route(endpoint.route, values: ranges.map { RouteTree.decode(path[$0]) })
    }

    /// The most specific node that is some route's end; `at` is where the next segment begins. One empty last segment
    /// (a trailing slash) is as good as none.
    private func walk(
        _ node: Int, _ path: UnsafeBufferPointer<UInt8>, _ at: Int, _ ranges: inout [Range<Int>]
    ) -> [Endpoint]? {
        if at >= path.count {
            if !nodes[node].endpoints.isEmpty { return nodes[node].endpoints }
            return rest(node, path.count..<path.count, &ranges)
        }
        var end = at
        while end < path.count, path[end] != UInt8(ascii: "/") { end += 1 }
        if end > at {
            if let next = literal(node, path[at..<end]), let found = walk(next, path, end + 1, &ranges) { return found }
            if let next = nodes[node].parameter {
                ranges.append(at..<end)
                if let found = walk(next, path, end + 1, &ranges) { return found }
                ranges.removeLast()
            }
        }
        return rest(node, at..<path.count, &ranges)
    }

    private func rest(_ node: Int, _ range: Range<Int>, _ ranges: inout [Range<Int>]) -> [Endpoint]? {
        guard !nodes[node].rest.isEmpty else { return nil }
        ranges.append(range)
        return nodes[node].rest
    }

    private func literal(_ node: Int, _ segment: Slice<UnsafeBufferPointer<UInt8>>) -> Int? {
        for (word, next) in nodes[node].literals where word.count == segment.count && word.elementsEqual(segment) {
            return next
        }
        guard segment.contains(UInt8(ascii: "%")) else { return nil }
        let decoded = Array(RouteTree.decode(segment).utf8)
        return nodes[node].literals.first { $0.word == decoded }?.node
    }

    private func headFallback(_ method: Method, _ endpoints: [Endpoint]) -> Endpoint? {
        method == .head ? endpoints.first { $0.method == .get } : nil
    }

    private func allowed(_ endpoints: [Endpoint]) -> [String] {
        var names = endpoints.map(\.method.name)
        if names.contains("GET") && !names.contains("HEAD") { names.append("HEAD") }
        if !names.contains("OPTIONS") { names.append("OPTIONS") }
        return names
    }

    private static func decode(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        guard bytes.contains(UInt8(ascii: "%")) else { return text }
        return URLText.decode(text) ?? text
    }
}
