import Runtime
import Shared

/// What every program serves beside its own routes.
enum InternalRoutes {
    /// - Parameters:
    ///   - document: JSON text of the OpenAPI document.
    ///   - probesOnly: leave out what strangers must not see, for a router that faces them.
    static func list(
        document: [UInt8], probesOnly: Bool, parts: @escaping @Sendable () -> [(name: String, reason: String?)],
        degraded: @escaping @Sendable () -> [(name: String, how: String)]
    ) -> [Route] {
        let probes = [health, readiness(parts, degraded)]
        return probesOnly ? probes : probes + [metrics, openAPI(document)]
    }

    private static let health = Route.get(
        "/healthz", "Whether the process is up", tag: "probes", family: .internal, access: .everyone, limit: .none,
        returns: [200: .object(.required("status", .string(enum: ["ok"])))]
    ) { _ in Response.json { json in json.object { $0.field("status", "ok") } } }

    private static func readiness(
        _ parts: @escaping @Sendable () -> [(name: String, reason: String?)],
        _ degraded: @escaping @Sendable () -> [(name: String, how: String)]
    ) -> Route {
        let answer = Schema.ref(
            "Readiness",
            .object(
                .required("ready", .boolean),
                .required("parts", .map(.nullable(.string)), "Each part with the reason why it is not ready."),
                .optional("degraded", .map(.string), "Parts that work less well than they should, and how.")))
        return Route.get(
            "/readyz", "Whether every part can work", tag: "probes", family: .internal, access: .everyone, limit: .none,
            returns: [200: answer, 503: answer]
        ) { _ in
            let parts = parts()
            let degraded = degraded()
            let isReady = parts.allSatisfy { $0.reason == nil }
            return Response.json(isReady ? 200 : 503) { json in
                json.object { json in
                    json.field("ready", isReady)
                    json.fieldObject("parts") { json in
                        for part in parts { json.field(part.name, part.reason) }
                    }
                    guard !degraded.isEmpty else { return }
                    json.fieldObject("degraded") { json in
                        for part in degraded { json.field(part.name, part.how) }
                    }
                }
            }
        }
    }

    private static let metrics = Route.get(
        "/metrics", "Prometheus metrics", tag: "internal", access: .internal, produces: "text/plain"
    ) { _ in
        Response.bytes(type: "text/plain; version=0.0.4; charset=utf-8", Array(Metrics.shared.render().utf8))
    }

    private static func openAPI(_ document: [UInt8]) -> Route {
        Route.get(
            "/openapi.json", "This program's OpenAPI document", tag: "internal", access: .internal,
            returns: .ok(.anyObject)
        ) {
            request in
            Response.bytes(type: "application/json", document).conditional(request)
        }
    }
}
