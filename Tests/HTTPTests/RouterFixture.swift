import HTTP
import Runtime
import Shared

/// Log lines of one router, to be read by the test.
final class LogLines: Sendable {
    private let lines = Guarded<[JSON]>([])

    var log: Log {
        Log(program: "test") { [self] line in
            lines.withLock { $0.append((try? JSON.parse(Array(line.dropLast()))) ?? .null) }
        }
    }

    func all(_ event: String) -> [JSON] {
        lines.withLock { $0.filter { $0["event"]?.string == event } }
    }

    var text: String { lines.withLock { $0.map(\.jsonText).joined(separator: "\n") } }
}

extension Principal {
    static func person(
        _ role: Role = .user, staff: Bool = false, member: WorkspaceRole? = nil, scopes: [String]? = nil,
        user: UserID = UserID()
    ) -> Principal {
        Principal(
            user: user, role: role, staff: staff, workspaces: member.map { [WorkspaceID(): $0] } ?? [:],
            expires: .now() + .seconds(900), scopes: scopes)
    }
}

/// Tokens that the tests use, each with the person behind it.
let people: [String: Principal] = [
    "user": .person(), "agent": .person(.agent), "admin": .person(.admin), "staff": .person(staff: true),
    "reader": .person(scopes: ["read"]), "caller": .person(member: .agent, scopes: ["calls:write", "agents:read"]),
    "keyless": .person(scopes: []),
]

@Sendable func authenticate(_ request: Request) async throws -> Principal {
    guard let token = request.bearerToken, let person = people[token] else { throw Problem.unauthorized() }
    return person
}

func router(
    _ routes: [Route], idempotency: IdempotencyGuard? = nil, lines: LogLines = LogLines(),
    facesStrangers: Bool = false, parts: @escaping @Sendable () -> [(name: String, reason: String?)] = { [] }
) -> Router {
    Router(
        routes, program: "test", authenticate: authenticate, idempotency: idempotency, log: lines.log,
        facesStrangers: facesStrangers, parts: parts)
}

/// Answers with the pattern and the path parameters.
func echo(_ pattern: String, _ method: HTTP.Method = .get, access: Access = .everyone) -> Route {
    Route(method, pattern, "Echo", access: access) { request in
        Response.json { json in
            json.object { json in
                json.field("pattern", pattern)
                json.field("parameters", request.parameters.map { "\($0.name)=\($0.value)" })
            }
        }
    }
}

extension ClientResponse {
    /// The manager family's code or the classic family's.
    var code: String? {
        let json = try? json()
        return json?["error"]?["code"]?.string ?? json?["code"]?.string
    }
}
