import HTTP
import Messaging
import Postgres
import Shared

/// The SQL of invitations.
enum InvitationStore {
    private static let columns: Query = """
        i.id, i.workspace_id, w.name AS workspace_name, i.email, i.role, i.invited_by, i.sent_at, i.expires_at,
        i.accepted_at, i.accepted_by, i.withdrawn_at, i.created_at
        """
    private static let source: Query = "invitations i JOIN workspaces w ON w.id = i.workspace_id"

    static func list(
        _ filter: InvitationFilter, _ page: Page, _ database: Database
    ) async throws -> (invitations: [Invitation], count: Int) {
        let condition = conditions(filter)
        let answers = try await database.pipeline([
            """
            SELECT \(fragment: columns) FROM \(fragment: source) WHERE \(fragment: condition)
            ORDER BY \(fragment: order(filter.order)) LIMIT \(page.size) OFFSET \(page.offset)
            """,
            "SELECT count(*) AS n FROM \(fragment: source) WHERE \(fragment: condition)",
        ])
        return (try answers[0].map(invitation), try answers[1].first.map { try $0["n"] } ?? 0)
    }

    private static func conditions(_ filter: InvitationFilter) -> Query {
        var condition = tenant(filter.tenancy)
        func add(_ part: Query) { condition = "\(fragment: condition) AND \(fragment: part)" }
        if let workspace = filter.workspace { add("i.workspace_id = \(workspace)") }
        switch filter.status {
        case .pending: add("i.digest IS NOT NULL AND i.expires_at > now()")
        case .expired: add("i.digest IS NOT NULL AND i.expires_at <= now()")
        case .accepted: add("i.accepted_at IS NOT NULL")
        case .withdrawn: add("i.withdrawn_at IS NOT NULL")
        case nil: break
        }
        if let role = filter.role { add("i.role = \(role.rawValue)") }
        if let email = filter.email { add("i.email_folded = \(email)") }
        if let words = filter.search, !words.isEmpty {
            add("(strpos(i.email_folded, \(words)) > 0 OR strpos(lower(w.name), \(words)) > 0)")
        }
        if let from = filter.createdFrom { add("i.created_at >= \(from)") }
        if let until = filter.createdUntil { add("i.created_at < \(until)") }
        return condition
    }

    private static func tenant(_ tenancy: Tenancy) -> Query {
        tenancy.ids.map { "i.workspace_id = ANY (\($0))" } ?? "TRUE"
    }

    private static func order(_ order: Ordering) -> Query {
        let column: Query =
            switch order.field {
            case "expires_at": "i.expires_at"
            case "email": "i.email_folded"
            default: "i.created_at"
            }
        return order.isDescending ? "\(fragment: column) DESC, i.id DESC" : "\(fragment: column), i.id"
    }

    static func find(_ id: InvitationID, _ tenancy: Tenancy, _ database: Database) async throws -> Invitation? {
        try await database.queryOne(
            """
            SELECT \(fragment: columns) FROM \(fragment: source)
            WHERE i.id = \(id) AND \(fragment: tenant(tenancy))
            """
        ).map(invitation)
    }

    /// The invitation, locked.
    static func lock(_ id: InvitationID, _ tx: borrowing Transaction) async throws -> Invitation? {
        try await tx.queryOne(
            "SELECT \(fragment: columns) FROM \(fragment: source) WHERE i.id = \(id) FOR UPDATE OF i"
        ).map(invitation)
    }

    /// The open invitation a token belongs to, locked: of two who use it at once, the second finds none.
    static func lock(digest: [UInt8], _ tx: borrowing Transaction) async throws -> Invitation? {
        try await tx.queryOne(
            "SELECT \(fragment: columns) FROM \(fragment: source) WHERE i.digest = \(digest) FOR UPDATE OF i"
        ).map(invitation)
    }

    static func openCount(of workspace: WorkspaceID, _ tx: borrowing Transaction) async throws -> Int {
        try await tx.queryOne(
            "SELECT count(*) AS n FROM invitations WHERE workspace_id = \(workspace) AND digest IS NOT NULL"
        ).map { try $0["n"] } ?? 0
    }

    static func isMember(
        _ email: EmailAddress, of workspace: WorkspaceID, _ tx: borrowing Transaction
    ) async throws -> Bool {
        try await tx.queryOne(
            """
            SELECT 1 AS found FROM users u JOIN memberships m ON m.user_id = u.id
            WHERE u.email_folded = \(email.folded) AND m.workspace_id = \(workspace)
            """) != nil
    }

    /// - Throws: a validation problem when the address has an open invitation already.
    static func insert(_ invitation: Invitation, digest: [UInt8], _ tx: borrowing Transaction) async throws {
        // One that nobody accepted in time makes room.
        tx.enqueue(
            """
            UPDATE invitations SET digest = NULL, withdrawn_at = now()
            WHERE workspace_id = \(invitation.workspace) AND email_folded = \(invitation.email.folded)
              AND digest IS NOT NULL AND expires_at <= now()
            """)
        do {
            _ = try await tx.execute(
                """
                INSERT INTO invitations (id, workspace_id, email, email_folded, role, digest, invited_by, sent_at,
                                         expires_at, created_at)
                VALUES (\(invitation.id), \(invitation.workspace), \(invitation.email.text), \(invitation.email.folded),
                        \(invitation.role.rawValue), \(digest), \(invitation.invitedBy), \(invitation.sentAt),
                        \(invitation.expiresAt), \(invitation.createdAt))
                """)
        } catch let error as PostgresError where error.isUniqueViolation("invitations_open") {
            throw Problem.validation("email", "is invited already; resend that invitation")
        }
    }

    /// Gives an open invitation another token and another end: the mail before is worth nothing any more.
    static func renew(_ invitation: Invitation, digest: [UInt8], _ tx: borrowing Transaction) {
        tx.enqueue(
            """
            UPDATE invitations SET digest = \(digest), sent_at = \(invitation.sentAt),
                expires_at = \(invitation.expiresAt)
            WHERE id = \(invitation.id)
            """)
    }

    static func accept(_ id: InvitationID, by user: UserID, _ tx: borrowing Transaction) {
        tx.enqueue(
            "UPDATE invitations SET digest = NULL, accepted_at = now(), accepted_by = \(user) WHERE id = \(id)")
    }

    static func withdraw(_ id: InvitationID, _ tx: borrowing Transaction) {
        tx.enqueue("UPDATE invitations SET digest = NULL, withdrawn_at = now() WHERE id = \(id)")
    }

    private static func invitation(_ row: Row) throws -> Invitation {
        let email: String = try row["email"]
        guard let address = EmailAddress(email) else { throw Problem(.internalError) }
        return Invitation(
            id: try row["id"], workspace: try row["workspace_id"], workspaceName: try row["workspace_name"],
            email: address, role: try row["role"], invitedBy: try row["invited_by"], sentAt: try row["sent_at"],
            expiresAt: try row["expires_at"], acceptedAt: try row["accepted_at"], acceptedBy: try row["accepted_by"],
            withdrawnAt: try row["withdrawn_at"], createdAt: try row["created_at"])
    }
}
