import Messaging
import Passwords
import Postgres
import Shared

/// The SQL of people, their workspaces and memberships.
enum AccountStore {
    static let columns: Query = """
        u.id, u.email, u.username, u.first_name, u.last_name, u.phone, u.role, u.is_staff, u.is_superuser, u.status,
        u.is_verified, u.avatar, u.version, u.last_login, u.created_at, u.updated_at
        """

    /// Writes a person and their personal workspace.
    /// - Throws: 409's validation problem when the e-mail or the user name is taken.
    static func insert(
        _ new: NewAccount, _ password: Passwords.Hash, _ tx: borrowing Transaction
    ) async throws -> (account: Account, workspace: WorkspaceSnapshot) {
        let id = UserID()
        let workspaceID = WorkspaceID()
        // Nobody chose this user name, so it may carry part of the id to be free.
        let username = new.username ?? defaultUsername(new.email, id)
        do {
            let row = try await tx.queryOne(
                """
                INSERT INTO users AS u (id, email, email_folded, username, username_folded, first_name, last_name,
                    phone, password_hash, role, is_staff, is_superuser, is_verified)
                VALUES (\(id), \(new.email.text), \(new.email.folded), \(username), \(username.lowercased()),
                    \(new.firstName), \(new.lastName), \(new.phone), \(password.text), \(new.role.rawValue),
                    \(new.isStaff), \(new.isSuperuser), \(new.isVerified))
                RETURNING \(fragment: columns)
                """)
            guard let row else { throw Problem(.internalError) }
            _ = try await tx.execute(
                "INSERT INTO workspaces (id, name) VALUES (\(workspaceID), \(new.workspaceName))")
            _ = try await tx.execute(
                """
                INSERT INTO memberships (workspace_id, user_id, role) VALUES (\(workspaceID), \(id), 'owner')
                """)
            return (
                try account(row),
                WorkspaceSnapshot(id: workspaceID, name: new.workspaceName, ownerID: id, version: 1)
            )
        } catch let error as PostgresError where error.isUniqueViolation("users_email_folded_key") {
            throw Problem.validation("email", "is already registered; log in or reset the password")
        } catch let error as PostgresError where error.isUniqueViolation("users_username_folded_key") {
            throw Problem.validation("username", "is taken; choose another one")
        }
    }

    private static func defaultUsername(_ email: EmailAddress, _ id: UserID) -> String {
        let local = email.text.prefix { $0 != "@" }.prefix(40)
        return "\(local)-\(id.text.suffix(6))"
    }

    struct Credentials: Sendable {
        var account: Account
        var password: Passwords.Hash
        /// They have logged in from this device before.
        var isKnownDevice: Bool
        /// Their second factor, confirmed.
        var secondFactor: SecondFactorStore.Secret?
    }

    /// The person behind an e-mail address or a user name, with the hash their password is checked against.
    static func credentials(
        _ login: String, from client: ClientInfo, _ database: Database
    ) async throws -> Credentials? {
        let folded = login.lowercased()
        let row = try await database.queryOne(
            """
            SELECT \(fragment: columns), u.password_hash, t.sealed, t.last_step,
                EXISTS (SELECT FROM sessions s WHERE s.user_id = u.id AND s.address = \(client.address)
                    AND s.user_agent = \(client.userAgent)) AS known
            FROM users u LEFT JOIN totp t ON t.user_id = u.id AND t.confirmed_at IS NOT NULL
            WHERE u.email_folded = \(folded) OR u.username_folded = \(folded)
            ORDER BY u.email_folded = \(folded) DESC LIMIT 1
            """)
        return try row.map(credentials)
    }

    /// The same of a person who is logged in.
    static func credentials(of user: UserID, _ database: Database) async throws -> Credentials? {
        let row = try await database.queryOne(
            """
            SELECT \(fragment: columns), u.password_hash, t.sealed, t.last_step, true AS known
            FROM users u LEFT JOIN totp t ON t.user_id = u.id AND t.confirmed_at IS NOT NULL WHERE u.id = \(user)
            """)
        return try row.map(credentials)
    }

    private static func credentials(_ row: Row) throws -> Credentials {
        Credentials(
            account: try account(row), password: Passwords.Hash(text: try row["password_hash"]),
            isKnownDevice: try row["known"], secondFactor: try SecondFactorStore.secret(row))
    }

    static func find(_ id: UserID, _ database: Database) async throws -> Account? {
        try await database.queryOne(finding(id)).map(account)
    }

    static func finding(_ id: UserID) -> Query { "SELECT \(fragment: columns) FROM users u WHERE u.id = \(id)" }

    /// A person who stays as they are until the transaction ends, and all that decides whether they are let in.
    struct Held: Sendable {
        var account: Account
        var block: BlacklistStore.Block?
        /// When the account is to be deleted.
        var deletesAt: Instant?
        var memberships: Memberships
    }

    /// What a token says of a person beside who they are.
    struct Memberships: Sendable {
        var roles: [WorkspaceID: WorkspaceRole] = [:]
        /// The database's time when they were read. A token that says so is issued then and not later, so a change that had
        /// to wait for it refuses it.
        var readAt: Instant
    }

    /// The person, held until the transaction ends: nobody changes what a token is about to say of them. Nil when the
    /// password is another one by now.
    static func hold(
        _ user: UserID, _ password: Passwords.Hash, _ tx: borrowing Transaction
    ) async throws -> Held? {
        // Not a shared lock: who logs in is written to as well, and two who do so at once would wait for each other.
        let person: Query = """
            SELECT \(fragment: columns) FROM users u WHERE u.id = \(user) AND u.password_hash = \(password.text)
            FOR NO KEY UPDATE
            """
        let rows = try await tx.pipeline([person, standing(of: user)])
        return try rows[0].first.map { try held(try account($0), rows[1]) }
    }

    /// The same of somebody whose row is locked already.
    static func held(_ account: Account, _ tx: borrowing Transaction) async throws -> Held {
        try held(account, try await tx.query(standing(of: account.id)))
    }

    /// A row for each workspace, at least one. A statement of its own: one that waited for the lock does not see what was
    /// changed meanwhile in other tables.
    private static func standing(of user: UserID) -> Query {
        """
        SELECT clock_timestamp() AS at, d.deletes_at, b.blocks, b.expires_at, m.workspace_id, m.role
        FROM (VALUES (1)) AS always
        LEFT JOIN deletions d ON d.user_id = \(user)
        LEFT JOIN LATERAL (\(fragment: BlacklistStore.blocking(user))) AS b ON TRUE
        LEFT JOIN memberships m ON m.user_id = \(user)
        """
    }

    private static func held(_ account: Account, _ rows: Rows) throws -> Held {
        guard let first = rows.first else { throw Problem(.internalError) }
        var memberships = Memberships(readAt: try first["at"])
        for row in rows {
            guard let workspace = try row.decode("workspace_id", as: WorkspaceID?.self) else { continue }
            memberships.roles[workspace] = try row["role"]
        }
        let isBlocked = try first.decode("blocks", as: Bool?.self) == true
        return Held(
            account: account, block: isBlocked ? try BlacklistStore.block(first) : nil,
            deletesAt: try first["deletes_at"],
            memberships: memberships)
    }

    static func noteLogin(of user: UserID, _ tx: borrowing Transaction) {
        tx.enqueue("UPDATE users SET last_login = now() WHERE id = \(user)")
    }

    /// Makes an existing person an admin with this password; nil when there is none with the address.
    static func promote(
        _ email: EmailAddress, _ password: Passwords.Hash, _ tx: borrowing Transaction
    ) async throws -> (account: Account, changed: Bool)? {
        let before = try await tx.queryOne(
            "SELECT role FROM users WHERE email_folded = \(email.folded) FOR UPDATE")
        guard let before else { return nil }
        let row = try await tx.queryOne(
            """
            UPDATE users u SET role = 'admin', is_staff = true, is_superuser = true, status = 'active',
                password_hash = \(password.text), version = version + 1, updated_at = now()
            WHERE email_folded = \(email.folded) RETURNING \(fragment: columns)
            """)
        return try row.map { (try account($0), try before.decode("role", as: String.self) != "admin") }
    }

    static func account(_ row: Row) throws -> Account {
        let email: String = try row["email"]
        guard let address = EmailAddress(email) else { throw Problem(.internalError) }
        return Account(
            id: try row["id"], email: address, username: try row["username"], firstName: try row["first_name"],
            lastName: try row["last_name"], phone: try row["phone"], role: try row["role"],
            isStaff: try row["is_staff"], isSuperuser: try row["is_superuser"], status: try row["status"],
            isVerified: try row["is_verified"], avatar: try row["avatar"], version: try row["version"],
            lastLogin: try row["last_login"], createdAt: try row["created_at"], updatedAt: try row["updated_at"])
    }
}
