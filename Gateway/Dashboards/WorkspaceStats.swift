import HTTP
import Shared

/// `GET /api/workspaces/workspaces/{id}/stats/` (document 001): a workspace in numbers, from the three programs that know
/// them.
struct WorkspaceStats: Sendable {
    let composer: Composer

    var route: Route {
        .get(
            "/api/workspaces/workspaces/{id}/stats/", "A workspace in numbers",
            detail: "Each part comes from the program that keeps it, all asked at once. A part that does not answer in "
                + "1.5 s is null and named in `incomplete`.",
            tag: "workspaces", access: .may(.readWorkspaces), returns: .ok(Self.schema), handler: read)
    }

    /// What each program's answer holds, by name.
    private static let fields: [(owner: Owner, names: [StaticString])] = [
        (.auth, ["name", "members", "pending_invitations"]),
        (.telephony, ["ai_agents", "phone_numbers", "human_agents"]), (.qaAnalytics, ["calls", "minutes"]),
    ]

    func read(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        let id = try request.pathID("id", as: WorkspaceID.self, or: .workspaceNotFound)
        let path = "/internal/workspaces/\(id.text)/stats"
        let answers = await composer.ask(
            Self.fields.map { .init($0.owner, $0.owner == .auth ? "\(path)?user=\(principal.user.text)" : path) })
        if case .refused = answers[0] { throw Problem.notFound(.workspaceNotFound) }
        // A workspace made since the token was: auth knows of it.
        if answers[0].json?["belongs"]?.bool != true { try principal.require(.readWorkspaces, in: id) }
        return Self.response(id, answers)
    }

    static func response(_ id: WorkspaceID, _ answers: [Composer.Answer]) -> Response {
        var incomplete: [String] = []
        return Response.json { json in
            json.object { json in
                json.field("workspace", id)
                for (place, field) in fields.enumerated() {
                    for name in field.names {
                        let value = answers[place].json?["\(name)"]
                        if value == nil { incomplete.append("\(name)") }
                        json.field(name, value ?? .null)
                    }
                }
                json.field("incomplete", incomplete)
            }
        }
    }

    private static let count = Schema.integer(min: 0)

    private static let schema = Schema.ref(
        "WorkspaceStats",
        .object(
            .required("workspace", .uuid), .required("name", .nullable(.string)),
            .required(
                "members",
                .nullable(
                    .object(
                        .required("total", count), .required("owner", count), .required("manager", count),
                        .required("agent", count), .required("viewer", count)))),
            .required("pending_invitations", .nullable(count)),
            .required("ai_agents", .nullable(.object(.required("total", count), .required("active", count)))),
            .required("phone_numbers", .nullable(count)),
            .required(
                "human_agents",
                .nullable(
                    .object(.required("total", count), .required("active", count), .required("available", count))),
                "`available`: active, switched to available and not on a call."),
            .required(
                "calls",
                .nullable(
                    .object(
                        .required("total", count), .required("active", count), .required("completed", count),
                        .required("failed", count), .required("escalated", count))), "Since the workspace began."),
            .required("minutes", .nullable(.number(min: 0)), "Spoken, over ended calls, to the hundredth."),
            .required("incomplete", .array(.string), "The parts that are null because nobody answered for them.")))
}
