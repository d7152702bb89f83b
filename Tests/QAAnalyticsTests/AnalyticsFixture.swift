import HTTP
import Messaging
import Postgres
import Runtime
import Shared
import TestSupport
import Testing

@testable import QAAnalytics

/// qa-analytics' routes on a database of their own, asked without a socket.
struct AnalyticsFixture: Sendable {
    let database: Database
    let jobs: ReportJobs
    let client: TestClient
    let workspace = WorkspaceID()
    let business = BusinessID()
    let stranger = WorkspaceID()
    /// Who the tokens are.
    let people: [String: UserID]

    /// Tokens are names: `owner` and `colleague` own `workspace`, `manager`, `agent` and `viewer` are these there,
    /// `stranger` belongs to another one, `admin` sees all.
    static func with(_ body: @escaping @Sendable (AnalyticsFixture) async throws -> Void) async throws {
        try await TestDatabase.fresh(migrations: ["qa-analytics"], extra: MessagingSchema.migrations) { database in
            try await body(AnalyticsFixture(database))
        }
    }

    private init(_ database: Database) {
        self.database = database
        let log = Log(program: "tests", least: .error)
        let jobs = ReportJobs(database, log: log)
        let memberships: [String: [WorkspaceID: WorkspaceRole]] = [
            "owner": [workspace: .owner], "colleague": [workspace: .owner], "manager": [workspace: .manager],
            "agent": [workspace: .agent], "viewer": [workspace: .viewer], "stranger": [stranger: .owner],
            "admin": [:],
        ]
        let people = memberships.mapValues { _ in UserID() }
        self.people = people
        let router = Router(
            Routes.list(database, jobs), program: "qa-analytics",
            authenticate: { request in
                guard let name = request.bearerToken, let user = people[name], let workspaces = memberships[name]
                else { throw Problem.unauthorized() }
                return Principal(
                    user: user, role: name == "admin" ? .admin : .user, workspaces: workspaces,
                    expires: Instant.now() + .seconds(900))
            }, idempotency: .postgres(database), log: log)
        self.jobs = jobs
        client = TestClient(router, token: "owner")
    }

    func call(
        at: String, from: String = "+14155550101", business: BusinessID? = nil, in workspace: WorkspaceID? = nil,
        failure: String? = nil
    ) async throws {
        let started = try #require(Instant(iso: at))
        _ = try await database.execute(
            """
            INSERT INTO calls (call_id, workspace_id, business_id, direction, status, started_at, ended_at,
                duration_seconds, from_number, to_number, failure_reason, version)
            VALUES (\(CallID()), \(workspace ?? self.workspace), \(business), 'inbound', 'completed', \(started),
                \(started + .seconds(30)), 30, \(from), '+14155550100', \(failure), 1)
            """)
    }

    /// Many calls, a minute apart.
    func calls(_ number: Int, from first: String = "2026-03-01T00:00:00Z") async throws {
        _ = try await database.execute(
            """
            INSERT INTO calls (call_id, workspace_id, direction, status, started_at, duration_seconds, from_number,
                to_number, version)
            SELECT gen_random_uuid(), \(workspace), 'outbound', 'completed',
                \(first)::text::timestamptz + interval '1 minute' * n, 60, '+14155550101', '+14155550100', 1
            FROM generate_series(0, \(number - 1)) n
            """)
    }
}

extension ClientResponse {
    var code: String? { (try? json())?["error"]?["code"]?.string }

    /// The fields a 400 complains of.
    var badFields: [String] {
        (try? json())?.object?["error"]?.object?["details"]?.object?["fields"]?.object?.names ?? []
    }
}
