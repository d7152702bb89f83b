import Access
import Counters
import HTTP
import Kafka
import Messaging
import Runtime
import Shared

/// The one door: routes `/api/*` to the programs, ends the browsers' sockets, describes the whole.
@main
enum GatewayService {
    static func main() {
        Service.main("gateway") { settings in
            let log = Log(program: "gateway", least: settings.choice("LOG_LEVEL", default: Log.Level.info))
            let host = settings.string("HOST", default: "0.0.0.0")
            let port = settings.int("PORT", default: 8000, in: 0...65_535)
            let internalPort = settings.int("INTERNAL_PORT", default: 8100, in: 0...65_535)
            let publicURL = settings.url("PUBLIC_URL", default: "http://localhost:8000")
            let kafka = KafkaSettings(settings, clientID: "gateway", log: log)
            let upstreams = Upstreams(upstreams(settings), log)
            let tokens = TokenVerifier(
                .init(
                    keySetURLs: upstreams.urls(.auth), issuer: settings.string("JWT_ISSUER", default: publicURL),
                    audience: "switchboard"), kafka: kafka, log: log)
            let origins = settings.list("CORS_ALLOWED_ORIGINS", default: [])
            let secret = settings.secret("SECRET_KEY", lengthMin: 32)
            let redis = settings.optional("REDIS_URL", "redis://[[user]:password@]host[:port][/database], or rediss://")
            {
                RedisAddress($0)
            }
            let redisAuthorities = settings.optional("REDIS_CA_FILE")
            let redisAnswer = settings.int("REDIS_ANSWER_MILLISECONDS", default: 50, in: 1...5_000)
            let perMinute = RateLimits.Settings(
                standard: settings.int("RATE_LIMIT_STANDARD_PER_MINUTE", default: 100),
                analytics: settings.int("RATE_LIMIT_ANALYTICS_PER_MINUTE", default: 20),
                anonymous: settings.int("RATE_LIMIT_ANONYMOUS_PER_MINUTE", default: 60),
                sockets: settings.int("RATE_LIMIT_SOCKETS_PER_USER", default: 10))
            let assets = settings.string("DOCS_ASSETS", default: ".local/share/docs")
            let proxies =
                settings.optional("TRUSTED_PROXIES", "addresses and ranges such as 10.0.0.0/8, separated by commas") {
                    TrustedProxies($0)
                } ?? TrustedProxies([])
            let allowsBasic = settings.bool("ALLOW_BASIC_AUTH", default: false)
            let tls = tls(settings)
            try settings.check()

            let client = Client()
            let counters = redis.map {
                Counters($0, trusting: redisAuthorities, answerMax: .milliseconds(redisAnswer), log: log)
            }
            let limits = RateLimits(perMinute, together: counters, secret: secret)
            let credentials = Credentials(
                tokens: tokens, limits: limits, proxies: proxies, allowsBasic: allowsBasic,
                ask: Credentials.live(upstreams: upstreams, client: client))
            let hub = Hub()
            tokens.onRevocation { hub.end($0) }
            let stream = FrameStream(hub: hub)
            let frames = Broadcast(name: "frames", topics: [.realtimeFrames], from: .end, kafka: kafka, log: log) {
                try stream.take($0)
            }
            let sockets = Sockets(
                credentials: credentials, hub: hub, limits: limits,
                tickets: Tickets(secret: secret, together: counters),
                backlog: .live(upstreams: upstreams, client: client),
                origins: origins.isEmpty ? nil : origins + [publicURL], isFollowing: { frames.isFollowing })
            let described = OwnDocument()
            let documents = Documents(
                upstreams: upstreams, client: client, own: { described.json },
                assets: try? StaticFiles(directory: assets), publicURL: publicURL, log: log)
            let stats = WorkspaceStats(composer: .live({ upstreams.urls($0) }, client: client))
            let routes = sockets.routes + documents.routes + [live, stats.route]
            let router = Router(
                routes, program: "gateway", authenticate: { try await tokens.authenticate($0) }, log: log,
                facesStrangers: true)
            described.json = router.openAPI
            let front = Front(
                table: RouteTable(), own: router, credentials: credentials, limits: limits,
                forward: Forward(upstreams: upstreams),
                tunnel: Tunnel(upstreams: upstreams), origins: Origins(allowed: Set(origins)), proxies: proxies,
                log: log)
            var components: [any Component] = []
            if let counters { components.append(counters) }
            components += [
                hub,
                upstreams,
                tokens,
                frames,
                Server(
                    port: internalPort, host: host, router: Router([], program: "gateway-internal", log: log),
                    name: "internal"),
                Server(port: port, host: host, tls: tls, log: log) { await front.respond(to: $0) },
            ]
            return components
        }
    }

    private static let live = Route.get(
        "/live", "Calls as they happen, in a browser", tag: "documents", family: .plain, access: .everyone,
        limit: .none,
        returns: .ok(.string), produces: "text/html"
    ) { _ in .html(200, Pages.live) }

    private static func upstreams(_ settings: Settings) -> [Owner: [Endpoint]] {
        var endpoints: [Owner: [Endpoint]] = [:]
        for (place, owner) in Owner.allCases.enumerated() {
            let given = settings.optional(owner.setting, "one or more http:// URLs, separated by commas") { text in
                let replicas = text.split(separator: ",").map { Endpoint(url: $0.filter { $0 != " " }) }
                return replicas.isEmpty || replicas.contains(nil) ? nil : replicas.compactMap { $0 }
            }
            endpoints[owner] = given ?? [Endpoint(host: "127.0.0.1", port: 8101 + place)]
        }
        return endpoints
    }

    private static func tls(_ settings: Settings) -> TLS.Files? {
        guard let certificate = settings.optional("TLS_CERTIFICATE") else { return nil }
        return TLS.Files(certificate: certificate, key: settings.string("TLS_KEY"))
    }
}
