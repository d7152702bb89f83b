import HTTP
import Messaging
import Runtime
import Shared

/// Frames from the topic to the sockets, each once: after a broker came back empty the topic carries old ones again.
final class FrameStream: Sendable {
    private let hub: Hub
    private let newest = Guarded<Int64>(0)

    init(hub: Hub) { self.hub = hub }

    func take(_ envelope: Envelope) throws {
        let snapshot = try envelope.event(as: FrameEvent.self).frame
        let isNew = newest.withLock { newest in
            guard snapshot.id > newest else { return false }
            newest = snapshot.id
            return true
        }
        if isNew { hub.deliver(OutgoingFrame(snapshot)) }
    }
}

/// The router's description, known only once the router is made.
final class OwnDocument: Sendable {
    private let document = Guarded<JSON>(.object([:]))
    var json: JSON {
        get { document.withLock { $0 } }
        set { document.withLock { $0 = newValue } }
    }
}

extension Backlog {
    /// Asks realtime for missed frames and telephony for a call's owner.
    static func live(upstreams: Upstreams, client: Client) -> Backlog {
        Backlog(
            since: { after, principal in
                var query = "after=\(after)"
                if let ids = principal.tenancy.ids { query += "&workspaces=" + ids.map(\.text).joined(separator: ",") }
                let json = try await ask(upstreams.urls(.realtime), "/internal/frames?\(query)", client)
                let frames = try (json["frames"]?.array ?? []).map { OutgoingFrame(try FrameSnapshot(json: $0)) }
                return Found(frames: frames, isComplete: json["complete"]?.bool ?? false)
            },
            mayFollow: { call, token in
                _ = try await ask(upstreams.urls(.telephony), "/api/v1/calls/\(call.text)", token: token, client)
            })
    }

    private static func ask(
        _ urls: [String], _ path: String, token: String? = nil, _ client: Client
    ) async throws -> JSON {
        var failure: any Error = Problem(.upstreamUnavailable)
        for url in urls {
            do {
                var request = ClientRequest.get(url + path)
                request.timeout = .seconds(5)
                if let token { request.authorize(bearer: token) }
                let response = try await client.send(request)
                if response.status == 404 { throw Problem.notFound(.callNotFound) }
                guard response.isSuccess else { continue }
                return try response.json()
            } catch let problem as Problem {
                throw problem
            } catch {
                failure = error
            }
        }
        throw Problem(.upstreamUnavailable, "This cannot be answered at the moment; try again shortly.", cause: failure)
    }
}
