import Runtime
import Shared

/// Asks a router in the same process, without a socket: everything but the transport is real. For tests.
public struct TestClient: Sendable {
    private let router: Router
    private let token: String?

    /// - Parameter token: sent as `Authorization: Bearer` unless a call says otherwise.
    public init(_ router: Router, token: String? = nil) {
        self.router = router
        self.token = token
    }

    /// The same, as somebody else.
    public func with(token: String?) -> TestClient { TestClient(router, token: token) }

    public func get(_ target: String, headers: Headers = Headers(), token: String? = nil) async -> ClientResponse {
        await send(.get, target, headers: headers, token: token)
    }

    public func post(
        _ target: String, json: JSON? = nil, headers: Headers = Headers(), token: String? = nil
    ) async -> ClientResponse {
        await send(.post, target, json: json, headers: headers, token: token)
    }

    public func post(
        _ target: String, form: [(String, String)], headers: Headers = Headers(), token: String? = nil
    ) async -> ClientResponse {
        var headers = headers
        headers.set("Content-Type", "application/x-www-form-urlencoded")
        return await send(.post, target, headers: headers, body: Array(URLText.form(form).utf8), token: token)
    }

    public func put(
        _ target: String, json: JSON? = nil, headers: Headers = Headers(), token: String? = nil
    ) async -> ClientResponse {
        await send(.put, target, json: json, headers: headers, token: token)
    }

    public func patch(
        _ target: String, json: JSON? = nil, headers: Headers = Headers(), token: String? = nil
    ) async -> ClientResponse {
        await send(.patch, target, json: json, headers: headers, token: token)
    }

    public func delete(
        _ target: String, json: JSON? = nil, headers: Headers = Headers(), token: String? = nil
    ) async -> ClientResponse {
        await send(.delete, target, json: json, headers: headers, token: token)
    }

    private func send(
        _ method: Method, _ target: String, json: JSON?, headers: Headers, token: String?
    ) async -> ClientResponse {
        var headers = headers
        if json != nil, !headers.contains("Content-Type") { headers.set("Content-Type", "application/json") }
        return await send(method, target, headers: headers, body: json?.jsonBytes ?? [], token: token)
    }

    /// Anything else. A stream is collected; one that breaks off gives status 0. An upgrade gives 101 and nothing more.
    public func send(
        _ method: Method, _ target: String, headers: Headers = Headers(), body: [UInt8] = [], token: String? = nil
    ) async -> ClientResponse {
        var fields = headers
        if !fields.contains("Host") { fields.add("Host", "test.local") }
        if let token = token ?? self.token, !fields.contains("Authorization") {
            fields.add("Authorization", "Bearer \(token)")
        }
        let sent = fields
        return await (EventLoop.current ?? TestClient.loops.next()).run {
            let request = Request(method, target, headers: sent, body: Body(body), peer: "127.0.0.1")
            return await TestClient.collected(await router.respond(to: request), isHead: method == .head)
        }
    }

    /// Tests run on no loop of ours; requests must.
    private static let loops: EventLoopGroup = {
        let group = EventLoopGroup(count: 1)
        group.start()
        return group
    }()

    private static func collected(_ response: Response, isHead: Bool) async -> ClientResponse {
        switch response.body {
        case .bytes(let bytes) where !isHead:
            return ClientResponse(status: response.status, headers: response.headers, body: bytes)
        case .stream(_, let produce) where !isHead:
            var whole: [UInt8] = []
            let writer = BodyWriter { whole.append(contentsOf: $0) }
            do {
                try await produce(writer)
            } catch {
                return ClientResponse(status: 0, headers: response.headers, body: whole)
            }
            return ClientResponse(status: response.status, headers: response.headers, body: whole)
        default: return ClientResponse(status: response.status, headers: response.headers)
        }
    }
}
