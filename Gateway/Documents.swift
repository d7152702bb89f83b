import HTTP
import Runtime
import Shared

/// The API's description and the pages that show it.
struct Documents: Sendable {
    let upstreams: Upstreams
    let client: Client
    /// Our own routes' part.
    let own: @Sendable () -> JSON
    /// Swagger UI and ReDoc, unpacked when the platform is set up; nil where they are not.
    let assets: StaticFiles?
    let publicURL: String
    let log: Log

    /// A program that has just been replaced may describe itself anew.
    private static let timeout: Duration = .seconds(3)

    var routes: [Route] {
        let events = AsyncAPI.document(publicURL: publicURL).jsonBytes
        var routes: [Route] = [
            .get(
                "/asyncapi.json", "The topics and the live stream (AsyncAPI 3.0), from the events' own types",
                tag: "documents", family: .plain, access: .everyone, limit: .none, returns: .ok(.anyObject)
            ) { request in Response.bytes(type: "application/json", events).conditional(request) },
            .get(
                "/api/schema/", "This description (OpenAPI 3.1), from every program's own route table",
                tag: "documents",
                family: .plain, access: .everyone, limit: .none, returns: .ok(.anyObject)
            ) { _ in await schema() },
            .get(
                "/.well-known/security.txt", "Whom to tell of a weakness (RFC 9116)", tag: "documents", family: .plain,
                access: .everyone, limit: .none, returns: .ok(.string), produces: "text/plain"
            ) { _ in security() },
            .get(
                "/", "Where to begin", tag: "documents", family: .plain, access: .everyone, limit: .none,
                returns: .ok(.string), produces: "text/html"
            ) { _ in .html(200, Pages.home) },
        ]
        if let assets {
            routes.append(assets.route("/assets/docs", "Parts of the documentation pages"))
        }
        for path in ["/api/docs/", "/swagger/"] {
            routes.append(page(path, "The API, to try out (Swagger UI)", Pages.swagger))
        }
        for path in ["/api/redoc/", "/redoc/"] {
            routes.append(page(path, "The API, to read (ReDoc)", Pages.redoc))
        }
        return routes
    }

    private func page(_ path: String, _ summary: String, _ html: String) -> Route {
        let hasAssets = assets != nil
        // `/api/redoc/` and `/redoc/` would otherwise both be called getRedoc.
        let id = "get" + path.split(separator: "/").map(\.capitalized).joined()
        return .get(
            path, summary, id: id, tag: "documents", family: .plain, access: .everyone, limit: .none,
            returns: .ok(.string), produces: "text/html"
        ) { _ in
            guard hasAssets else {
                throw Problem(
                    .notFound, "The documentation pages are not unpacked here; /api/schema/ has the description.")
            }
            return .html(200, html)
        }
    }

    /// Every program's document as one. A program that does not answer is left out and named in a header.
    private func schema() async -> Response {
        var documents = [own()]
        var missing: [String] = []
        for owner in Owner.allCases {
            if let document = await document(of: owner) {
                documents.append(document)
            } else {
                missing.append(owner.rawValue)
            }
        }
        let merged = OpenAPI.merge(documents, title: "Switchboard", servers: [publicURL])
        var response = Response.json(200, merged)
        if !missing.isEmpty { response.headers.set("X-Missing-Programs", missing.joined(separator: ", ")) }
        return response
    }

    private func document(of owner: Owner) async -> JSON? {
        for url in upstreams.urls(owner) {
            var request = ClientRequest.get(url + "/openapi.json")
            request.timeout = Self.timeout
            do {
                let response = try await client.send(request)
                if response.isSuccess { return try response.json() }
            } catch {
                log.debug("schema.not_fetched", ("program", "\(owner.rawValue)"), ("error", "\(error)"))
            }
        }
        return nil
    }

    private func security() -> Response {
        .text(200, "Contact: \(publicURL)/api/docs/\nPreferred-Languages: en\nExpires: \(Self.yearAhead)\n")
    }

    private static var yearAhead: String { (Instant.now() + .seconds(365 * 86_400)).iso }
}

extension Substring {
    fileprivate var capitalized: String { prefix(1).uppercased() + dropFirst() }
}
