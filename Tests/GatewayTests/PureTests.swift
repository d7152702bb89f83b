import HTTP
import Runtime
import Shared
import Testing

@testable import Gateway

@Suite struct RouteTableTests {
    @Test(arguments: [
        ("/api/v1/calls", Owner.telephony), ("/api/v1/calls/x/interactions", .telephony),
        ("/api/v1/calls/x/qa", .qaAnalytics),
        ("/api/v1/analytics/overview", .qaAnalytics), ("/api/calls/call-logs", .telephony),
        ("/api/calls/call-logs/analytics", .qaAnalytics), ("/api/dashboard/user/profile", .auth),
        ("/api/dashboard/user/subscription", .billing), ("/api/v1/config/business/1", .knowledge),
        ("/api/users/users/me", .auth),
    ])
    func `the longest prefix says who answers`(_ path: String, _ owner: Owner) {
        let segments = path.split(separator: "/").map(String.init)
        #expect(RouteTable().entry(for: segments)?.owner == owner)
    }

    @Test func `what the gateway puts together itself lies in the middle of others' paths`() {
        func entry(_ path: String) -> RouteTable.Entry? {
            RouteTable().entry(for: path.split(separator: "/").map(String.init))
        }
        let stats = entry("/api/workspaces/workspaces/1/stats")
        #expect(stats != nil && stats?.owner == nil)
        #expect(entry("/api/workspaces/workspaces/1/users")?.owner == .auth)
        #expect(entry("/api/workspaces/workspaces/stats")?.owner == .auth)
    }

    @Test(arguments: ["/", "/api", "/api/v2/calls", "/apix/v1/calls", "/internal/frames", "/metrics", "/openapi.json"])
    func `nobody owns what is not in the table`(_ path: String) {
        #expect(RouteTable().entry(for: path.split(separator: "/").map(String.init)) == nil)
    }

    @Test func `a plain target is found as it is, like its decoded segments`() {
        let table = RouteTable()
        let targets =
            RouteTable.rows.map { $0.path.split(separator: "/").map { $0 == "*" ? "x" : $0 } }
            .map { "/" + $0.joined(separator: "/") }
        for target in targets {
            for tail in ["", "/", "/y", "/qa", "/analytics/z", "?a=/api/v1/calls", "//y", "/.y", "/y..", "x", "/y.z?%"]
            {
                let segments = Request(.get, target + tail).pathSegments?.filter { !$0.isEmpty } ?? []
                let (plain, closer) = (table.plainEntry(target + tail), table.entry(for: segments))
                #expect(plain?.owner == closer?.owner && plain?.limit == closer?.limit, "\(target + tail)")
            }
        }
    }

    @Test(arguments: [
        "/api/v1/calls/%2e%2e/x", "/api/v1/calls/../x", "/api/v1/calls/..", "/api/v1/calls/.", "/api/v1/calls/./x",
        "/api/v1/calls/.?x", "/../api/v1/calls", "/api/v1/c%61lls", "/internal/frames", "*", "", "?",
        "/api/v1/calls/..?",
    ])
    func `what is not plain needs a closer look`(_ target: String) {
        #expect(RouteTable().plainEntry(target) == nil)
    }

    @Test func `a slash that was escaped makes no segment`() {
        #expect(RouteTable().entry(for: ["api/v1", "calls"]) == nil)
        #expect(RouteTable().entry(for: ["api", "v1", "calls/x", "qa"]) == nil)
        #expect(RouteTable().entry(for: ["api", "v1", "calls", "x/y", "qa"])?.owner == .qaAnalytics)
        #expect(RouteTable().entry(for: ["", "api", "v1", "", "calls"])?.owner == .telephony)
    }

    @Test func `every program has a place of its own`() {
        #expect(Owner.allCases.map(\.place) == Array(0..<Owner.allCases.count))
    }

    @Test func `webhooks are not counted and analytics apart`() {
        let table = RouteTable()
        func limit(_ path: String) -> LimitClass? {
            table.entry(for: path.split(separator: "/").map(String.init))?.limit
        }
        #expect(limit("/api/calls/twilio-webhook") == .uncounted)
        #expect(limit("/api/v1/analytics/overview") == .analytics)
        #expect(limit("/api/v1/calls") == .standard)
    }
}

@Suite struct RateLimitTests {
    @Test func `a window lets its limit through, tells what is left and opens again with the minute`() {
        var window = RateWindow()
        for left in [1, 0] {
            let answer = window.take(limit: 2, now: 59)
            #expect(answer == .init(allowed: true, limit: 2, remaining: left, reset: 60))
        }
        #expect(!window.take(limit: 2, now: 59).allowed)
        #expect(window.take(limit: 2, now: 60).allowed)
    }

    @Test func `people are counted apart from each other and analytics apart from the rest`() {
        let limits = RateLimits(.init(standard: 1, analytics: 1, anonymous: 1, sockets: 1))
        let (ann, bob) = (Caller.user(UserID()), Caller.user(UserID()))
        #expect(limits.take(ann, .standard, now: 0)?.allowed == true)
        #expect(limits.take(ann, .standard, now: 0)?.allowed == false)
        #expect(limits.take(ann, .analytics, now: 0)?.allowed == true)
        #expect(limits.take(bob, .standard, now: 0)?.allowed == true)
        #expect(limits.take(bob, .uncounted, now: 0) == nil)
        #expect(limits.take(.address("192.0.2.1"), .standard, now: 0)?.limit == 1)
    }

    @Test func `zero switches a class off`() async {
        let limits = RateLimits(.init(standard: 0, analytics: 0, anonymous: 0, sockets: 0))
        #expect(limits.take(.address("192.0.2.1"), .standard, now: 0) == nil)
        let user = UserID()
        var claims: [SocketClaim] = []
        for _ in 0..<100 { await limits.claimSocket(user).map { claims.append($0) } }
        #expect(claims.count == 100)
    }

    @Test func `sockets are counted until they are given back, or forgotten`() async {
        let limits = RateLimits(.init(sockets: 2))
        let user = UserID()
        let first = await limits.claimSocket(user)
        var second = await limits.claimSocket(user)
        #expect(first != nil && second != nil)
        #expect(await limits.claimSocket(user) == nil)
        first?.release()
        first?.release()
        let third = await limits.claimSocket(user)
        #expect(third != nil)
        #expect(await limits.claimSocket(user) == nil, "giving back twice frees one")
        second = nil
        #expect(await limits.claimSocket(user) != nil)
        withExtendedLifetime(third) {}
    }

    @Test func `what others counted counts here, and a late answer takes nothing back`() {
        var window = RateWindow()
        #expect(
            window.take(limit: 5, total: 4, minute: 1) == .init(allowed: true, limit: 5, remaining: 1, reset: 120))
        #expect(window.take(limit: 5, total: 3, minute: 1).remaining == 2)
        #expect(window.used == 4)
        #expect(window.refusal(limit: 5, now: 60) == nil)
        #expect(!window.take(limit: 5, total: 6, minute: 1).allowed)
        #expect(window.refusal(limit: 5, now: 119)?.allowed == false, "nobody needs to be asked")
        #expect(window.refusal(limit: 5, now: 120) == nil, "the minute turned")
        #expect(window.take(limit: 5, total: 7, minute: 1).allowed == false)
        #expect(window.used == 0, "of the minute before")
    }
}

@Suite struct ReplicasTests {
    private let a = Endpoint(host: "a", port: 1)
    private let b = Endpoint(host: "b", port: 2)
    private let c = Endpoint(host: "c", port: 3)

    private func three() -> Replicas { Replicas([a, b, c]) }

    @Test func `idle replicas take turns and busy ones are spared`() {
        var replicas = three()
        let first = (0..<3).compactMap { _ in replicas.choose(now: 0) }
        #expect(Set(first) == [0, 1, 2])
        replicas.succeeded(first[1])
        #expect(replicas.choose(now: 0) == first[1])
    }

    @Test func `a failed replica is left alone longer each time and is back after one success`() {
        var replicas = Replicas([a, b])
        var waits: [Double] = []
        for _ in 0..<8 {
            guard let index = replicas.choose(now: 1_000, except: [1]) else { break }
            replicas.failed(index, now: 1_000)
            waits.append(replicas.all[0].outUntil - 1_000)
        }
        #expect(waits == [0.25, 0.5, 1, 2, 4, 5, 5, 5])
        #expect(replicas.choose(now: 1_001) == 1)
        let again = replicas.choose(now: 1_006, except: [1])
        #expect(again == 0)
        replicas.succeeded(0)
        #expect(replicas.all[0].failures == 0)
    }

    @Test func `when all are out the first to return is tried rather than nobody`() {
        var replicas = Replicas([a, b])
        for now in [0.0, 0.1] {
            guard let index = replicas.choose(now: now) else { continue }
            replicas.failed(index, now: now)
        }
        #expect(replicas.choose(now: 0.1) != nil)
        #expect(replicas.choose(now: 0.1, except: [0, 1]) == nil)
    }

    @Test func `who leaves a name gets nothing more, and a newcomer gets their place when their last request is over`()
    {
        var replicas = Replicas([a, b])
        #expect([replicas.choose(now: 0), replicas.choose(now: 0)] == [1, 0])
        replicas.failed(1, now: 0)
        replicas.follow([b, c])
        #expect(replicas.all.map(\.endpoint) == [a, b, c], "a still works")
        #expect(replicas.all[1].failures == 1, "who stayed keeps their state")
        #expect((0..<4).map { _ in replicas.choose(now: 0) } == [2, 2, 2, 2], "b is out, and a is gone")
        replicas.succeeded(0)
        replicas.follow([b, c, Endpoint(host: "d", port: 4)])
        #expect(replicas.all.map(\.endpoint.host) == ["d", "b", "c"])
        replicas.follow([])
        #expect(replicas.choose(now: 9) == nil)
    }

    @Test func `an endpoint is read from a URL`() {
        #expect(Endpoint(url: "http://telephony:8080") == Endpoint(host: "telephony", port: 8080))
        #expect(Endpoint(url: "http://[fd00::1]:81/") == Endpoint(host: "fd00::1", port: 81))
        #expect(Endpoint(url: "http://[fd00::1]") == Endpoint(host: "fd00::1", port: 80))
        #expect(Endpoint(url: "http://10.0.0.1")?.port == 80)
        #expect(Endpoint(url: "https://telephony") == nil && Endpoint(url: "http://telephony:0") == nil)
        #expect(Endpoint(host: "telephony", port: 1).isName && !Endpoint(host: "10.0.0.1", port: 1).isName)
    }
}

@Suite struct RetryBudgetTests {
    @Test func `a tenth of all requests may be sent again, and ten at once`() {
        var budget = RetryBudget()
        func spent(_ asked: Int) -> Int { (0..<asked).count { _ in budget.spend() } }
        let saved = spent(20)
        #expect(saved == 10)
        for _ in 0..<9 { budget.earn() }
        let early = spent(1)
        #expect(early == 0)
        budget.earn()
        let due = spent(2)
        #expect(due == 1)
        var granted = 0
        for _ in 0..<1_000 {
            budget.earn()
            if budget.spend() { granted += 1 }
        }
        #expect(granted == 100)
    }
}

@Suite struct TicketTests {
    @Test func `a ticket opens once, for its time, and only with our key`() async {
        let tickets = Tickets(secret: String(repeating: "s", count: 32))
        let ticket = tickets.issue("token", until: .now() + .seconds(900))
        #expect(await tickets.redeem(ticket.text) == "token")
        #expect(await tickets.redeem(ticket.text) == nil)
        let old = tickets.issue("token", until: .now() + .seconds(900))
        #expect(await tickets.redeem(old.text, now: .now() + .seconds(31)) == nil)
        let stranger = Tickets(secret: String(repeating: "x", count: 32)).issue("token", until: .now() + .seconds(900))
        #expect(await tickets.redeem(stranger.text) == nil)
        #expect(await tickets.redeem("nonsense") == nil)
    }
}

@Suite struct FrontTests {
    @Test func `only trusted proxies may say for whom they ask`() throws {
        let proxies = try #require(TrustedProxies("10.0.0.1, 192.168.8.0/21,fd00::/8"))
        func caller(_ peer: String, _ forwarded: String?) -> String {
            var headers = Headers()
            if let forwarded { headers.set("X-Forwarded-For", forwarded) }
            return proxies.caller(of: Request(.get, "/", headers: headers, peer: peer))
        }
        #expect(caller("198.51.100.7", "203.0.113.9") == "198.51.100.7")
        #expect(caller("10.0.0.1", "203.0.113.9, 10.0.0.1") == "203.0.113.9")
        #expect(caller("10.0.0.1", "6.6.6.6, 203.0.113.9") == "203.0.113.9")
        #expect(caller("10.0.0.1", "not an address") == "10.0.0.1")
        #expect(caller("10.0.0.2", "203.0.113.9") == "10.0.0.2", "no range")
        #expect(caller("192.168.15.255", "203.0.113.9, 192.168.9.1") == "203.0.113.9")
        #expect(caller("192.168.16.0", "203.0.113.9") == "192.168.16.0", "one behind the range")
        #expect(caller("fd12::1", "2001:db8::7") == "2001:db8::7")
        #expect(caller("fe80::1", "2001:db8::7") == "fe80::1")
    }

    @Test(arguments: [
        "10.0.0.0/33", "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/8/8", "proxy.example", "fd00::/129", "10.0.0.0/",
    ])
    func `what is neither an address nor a range is refused`(_ text: String) {
        #expect(TrustedProxies(text) == nil)
    }

    @Test func `what strangers say in our own fields is dropped`() {
        let request = Request(
            .get, "/",
            headers: [
                "X-User-Id": "1", "x-forwarded-for": "6.6.6.6", "X-Workspace-Id": "2", "Accept": "*/*",
                "Connection": "close, X-Secret", "X-Secret": "1",
            ], peer: "198.51.100.7")
        let headers = Forward.headers(request, .init(from: "198.51.100.7", id: "r", trace: .new()))
        #expect(headers["X-User-Id"] == nil && headers["X-Workspace-Id"] == nil && headers["X-Secret"] == nil)
        #expect(headers.all("X-Forwarded-For") == ["198.51.100.7"])
        #expect(headers["Accept"] == "*/*")
        #expect(headers["X-Request-Id"] == "r" && headers.count(of: "traceparent") == 1)
    }

    @Test func `a preflight is answered for listed origins only`() {
        let origins = Origins(allowed: ["https://app.example.com"])
        func preflight(_ origin: String) -> Response? {
            origins.preflight(
                Request(.options, "/api/v1/calls", headers: ["Origin": origin, "Access-Control-Request-Method": "GET"]))
        }
        #expect(preflight("https://app.example.com")?.status == 204)
        #expect(preflight("https://evil.example.com") == nil)
    }

    @Test func `a frame is for its workspace, its managers or its person`() throws {
        let (workspace, user) = (WorkspaceID(), UserID())
        func principal(_ role: WorkspaceRole, _ id: UserID = UserID()) -> Principal {
            Principal(user: id, role: .user, workspaces: [workspace: role], expires: .now() + .seconds(60))
        }
        func frame(_ audience: FrameSnapshot.Audience) -> OutgoingFrame {
            OutgoingFrame(
                FrameSnapshot(id: 1, workspaceID: workspace, event: "x", at: .now(), data: "{}", audience: audience))
        }
        #expect(frame(.workspace).isFor(principal(.viewer)))
        #expect(!frame(.managers).isFor(principal(.agent)) && frame(.managers).isFor(principal(.owner)))
        #expect(frame(.user(user)).isFor(principal(.viewer, user)) && !frame(.user(user)).isFor(principal(.owner)))
        let stranger = Principal(user: UserID(), role: .user, workspaces: [WorkspaceID(): .owner], expires: .now())
        #expect(!frame(.workspace).isFor(stranger))
    }
}
