import HTTP
import Postgres
import Shared

/// Document 001's workspaces, their members and invitations: one line each.
extension Accounts {
    var workspaceRoutes: [Route] { workspaces + members + invitations + [figures] }

    private var workspaces: [Route] {
        [
            .get(
                "/api/workspaces/workspaces/", "List workspaces", detail: "One's own; staff see all.",
                access: .may(.readWorkspaces), query: WorkspaceSchemas.query,
                returns: .ok(.results(of: WorkspaceSchemas.workspace)), handler: listWorkspaces),
            .post(
                "/api/workspaces/workspaces/", "Make a workspace",
                detail: "Whoever makes it owns it. Other programs know of that from the next access token on: refresh.",
                access: .may(.createWorkspaces), body: WorkspaceSchemas.name,
                returns: .created(WorkspaceSchemas.workspace), idempotent: true, handler: createWorkspace),
            .get(
                "/api/workspaces/workspaces/{id}/", "One workspace", access: .may(.readWorkspaces),
                returns: .ok(WorkspaceSchemas.workspace), handler: getWorkspace),
            .put(
                "/api/workspaces/workspaces/{id}/", "Rename a workspace", access: .may(.writeWorkspaces),
                body: WorkspaceSchemas.name, returns: .ok(WorkspaceSchemas.workspace), handler: replaceWorkspace),
            .patch(
                "/api/workspaces/workspaces/{id}/", "Rename a workspace, if a name is given",
                access: .may(.writeWorkspaces), body: WorkspaceSchemas.name,
                returns: .ok(WorkspaceSchemas.workspace), handler: updateWorkspace),
            .delete(
                "/api/workspaces/workspaces/{id}/", "Delete a workspace and everything in it",
                access: .may(.deleteWorkspaces), handler: deleteWorkspace),
            .post(
                "/api/workspaces/workspaces/{id}/transfer_ownership/", "Give a workspace to another member",
                detail: "They become owner, the giver manager.", access: .may(.giveAwayWorkspaces),
                body: .object(.required("user_id", .uuid)), returns: .ok(WorkspaceSchemas.workspace),
                handler: transferOwnership),
        ]
    }

    private var members: [Route] {
        [
            .get(
                "/api/workspaces/workspaces/{id}/users/", "Who belongs to a workspace", access: .may(.readWorkspaces),
                query: WorkspaceSchemas.memberQuery, returns: .ok(.results(of: WorkspaceSchemas.member)),
                handler: listMembers),
            .post(
                "/api/workspaces/workspaces/{id}/add_users/", "Add people to a workspace",
                detail: "Each row has its own result; a bad one does not stop the others. Without `role`, people "
                    + "registered as agents become agents and everybody else viewers. Owners are made by owners.",
                access: .may(.writeMembers), body: WorkspaceSchemas.bulk(withRole: true),
                returns: .ok(WorkspaceSchemas.outcomes), idempotent: true, handler: addUsers),
            .post(
                "/api/workspaces/workspaces/{id}/remove_users/", "Remove people from a workspace, or leave it",
                detail:
                    "Managers remove everybody but owners, owners also those; anybody leaves. The last owner stays.",
                access: .may(.readWorkspaces), body: WorkspaceSchemas.bulk(withRole: false),
                returns: .ok(WorkspaceSchemas.outcomes), handler: removeUsers),
            .patch(
                "/api/workspaces/workspaces/{id}/users/{user_id}/", "Change a member's role",
                access: .may(.writeMembers), body: .object(.required("role", .choice(WorkspaceRole.self))),
                returns: [200: WorkspaceSchemas.member, 409: nil], handler: changeMember),
        ]
    }

    private var invitations: [Route] {
        [
            .get(
                "/api/workspaces/invitations/", "List invitations", access: .may(.writeMembers),
                query: WorkspaceSchemas.invitationQuery, returns: .ok(.results(of: WorkspaceSchemas.invitation)),
                handler: listInvitations),
            .post(
                "/api/workspaces/invitations/", "Invite somebody by e-mail",
                detail: "The mail holds a token that works once, for seven days.", access: .may(.writeMembers),
                body: .object(
                    .required("email", .string(format: "email", max: 320)),
                    .optional("role", .choice(WorkspaceRole.self), "Default: viewer."),
                    .optional("workspace", .uuid, "Default: the caller's own.")),
                returns: .created(WorkspaceSchemas.invitation), idempotent: true, handler: createInvitation),
            .get(
                "/api/workspaces/invitations/{id}/", "One invitation", access: .may(.writeMembers),
                returns: .ok(WorkspaceSchemas.invitation), handler: getInvitation),
            .delete(
                "/api/workspaces/invitations/{id}/", "Withdraw an invitation", access: .may(.writeMembers),
                returns: [204: nil, 409: nil], handler: withdrawInvitation),
            .post(
                "/api/workspaces/invitations/{id}/resend/", "Send an invitation again",
                detail: "With another token; the one before is worth nothing then. At most once a minute.",
                access: .may(.writeMembers), returns: [200: WorkspaceSchemas.invitation, 409: nil, 429: nil],
                handler: resendInvitation),
            .post(
                "/api/workspaces/invitations/accept/", "Join the workspace one was invited to",
                detail: "By whoever is logged in with the address the invitation was sent to. That address counts as "
                    + "verified then.",
                access: .member, body: .object(.required("token", .string(min: 1, max: 200))),
                returns: [
                    200: .object(
                        .required("message", .string), .required("workspace", WorkspaceSchemas.workspace),
                        .required("role", .choice(WorkspaceRole.self))), 410: nil,
                ], handler: acceptInvitation),
        ]
    }

    /// Auth's part of `GET /api/workspaces/workspaces/{id}/stats/`, which the gateway puts together.
    private var figures: Route {
        .get(
            "/internal/workspaces/{id}/stats", "Members of a workspace by role", tag: "workspaces", access: .internal,
            query: [.query("user", .uuid, "Whose belonging to it is asked as well.")], returns: .ok(.anyObject)
        ) { request in
            let id = try request.pathID("id", as: WorkspaceID.self, or: .workspaceNotFound)
            var form = request.queryForm
            let asker = form.optionalID("user", as: UserID.self)
            try form.finish()
            guard let row = try await WorkspaceStore.figures(id, asker: asker, database) else {
                throw Problem.notFound(.workspaceNotFound)
            }
            let name: String = try row["name"]
            let belongs: Bool = try row["belongs"]
            let counts = try ["total", "owner", "manager", "agent", "viewer"].map { role in
                (role, try row.decode(role, as: Int.self))
            }
            let invited: Int = try row["invited"]
            return Response.json { json in
                json.object { json in
                    json.field("name", name)
                    json.field("belongs", belongs)
                    json.fieldObject("members") { json in for (role, n) in counts { json.field(role, n) } }
                    json.field("pending_invitations", invited)
                }
            }
        }
    }
}

/// What is said and asked about workspaces.
enum WorkspaceSchemas {
    static let workspace = Schema.ref(
        "Workspace",
        .object(
            .required("id", .uuid), .required("workspace_name", .string), .required("name", .string, "The same."),
            .required("owner", .uuid, "Who has owned it longest."), .required("members_count", .integer(min: 0)),
            .required("role", .nullable(.choice(WorkspaceRole.self)), "One's own; null for staff from outside."),
            .required("created_at", .instant), .required("updated_at", .instant)))

    static let name = Schema.object(
        .optional("workspace_name", .string(min: 1, max: 200)),
        .optional("name", .string(min: 1, max: 200), "Read when `workspace_name` is left out."))

    static let member = Schema.ref(
        "Member",
        .object(
            .required("id", .uuid), .required("email", .string(format: "email")), .required("username", .string),
            .required("first_name", .string), .required("last_name", .string), .required("full_name", .string),
            .required("avatar", .nullable(.string)), .required("status", .choice(Account.Status.self)),
            .required("role", .choice(WorkspaceRole.self)), .required("joined_at", .instant)))

    static func bulk(withRole: Bool) -> Schema {
        let ids = Field("user_ids", .array(.string(max: 200), max: 1000))
        let role = Field("role", .choice(WorkspaceRole.self), optional: true)
        return .object(withRole ? [ids, role] : [ids])
    }

    static let outcomes = Schema.object(
        .required("message", .string), .required("workspace", .uuid),
        .required("count", .integer(min: 0), "Rows that were done."),
        .required(
            "results",
            .array(
                .object(
                    .required("user_id", .string), .required("result", .choice(Accounts.Outcome.Result.self)),
                    .required("role", .nullable(.choice(WorkspaceRole.self))),
                    .required("detail", .nullable(.string), "Why not.")))))

    static let invitation = Schema.ref(
        "Invitation",
        .object(
            .required("id", .uuid), .required("workspace", .uuid), .required("workspace_name", .string),
            .required("email", .string(format: "email")), .required("role", .choice(WorkspaceRole.self)),
            .required("status", .choice(Invitation.Status.self)), .required("invited_by", .nullable(.uuid)),
            .required("sent_at", .instant), .required("expires_at", .instant),
            .required("accepted_at", .nullable(.instant)), .required("accepted_by", .nullable(.uuid)),
            .required("withdrawn_at", .nullable(.instant)), .required("created_at", .instant)))

    private static let created: [Parameter] = [
        .query("created_at__gte", .string, "A day or an instant."), .query("created_at__lte", .string),
    ]

    static let query: [Parameter] =
        .classicList(ordering: WorkspaceFilter.orders) + [
            .query("workspace_name", .string(max: 200), "The whole name, in any case."),
            .query("name", .string(max: 200)), .query("user", .uuid, "Workspaces this person belongs to."),
        ] + created + [.query("updated_at__gte", .string), .query("updated_at__lte", .string)]

    static let memberQuery: [Parameter] =
        .classicList(ordering: MemberFilter.orders) + [.query("role", .choice(WorkspaceRole.self))]

    static let invitationQuery: [Parameter] =
        .classicList(ordering: InvitationFilter.orders) + [
            .query("workspace", .uuid), .query("status", .choice(Invitation.Status.self)),
            .query("role", .choice(WorkspaceRole.self)), .query("email", .string(max: 320)),
        ] + created
}
