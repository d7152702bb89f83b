import HTTP
import Messaging
import Passwords
import Postgres
import Shared

extension Accounts {
    /// `POST /api/auth/register/` → 201 with tokens, as a log-in answers; without them when the address has to be
    /// confirmed first. Either way a mail with a link goes out.
    ///
    /// Anyone may become a `user` or an `agent`; `admin` comes from `auth create-superuser` or from an admin.
    func register(_ request: Request) async throws -> Response {
        var form = try await request.form()
        let email = form.email("email")
        let password = form.string("password", max: PasswordRule.lengthMax, trimmed: false)
        let username = form.optionalString("username", max: 60)
        if let username, !Self.isUsername(username) {
            form.fail("username", "may hold letters, digits and . _ - + only")
        }
        let firstName = form.optionalString("first_name", max: 100) ?? ""
        let lastName = form.optionalString("last_name", max: 100) ?? ""
        let phone = form.optionalPhone("phone")
        let role = form.optionalChoice("role", as: Role.self) ?? .user
        if !form.hasFailed, let complaint = PasswordRule.complaint(password, email: email.text, username: username) {
            form.fail("password", complaint)
        }
        try form.finish()
        guard role != .admin else {
            throw Problem.forbidden("Nobody registers as an admin; ask an admin to make you one.")
        }
        if let complaint = try await complaint(password, email: email.text, username: username) {
            throw Problem.validation("password", complaint)
        }

        let hash = try await passwords.hash(password)
        let name = firstName.isEmpty ? email.text.prefix { $0 != "@" } : firstName[...]
        let new = NewAccount(
            email: email, username: username, firstName: firstName, lastName: lastName, phone: phone, role: role,
            workspaceName: "\(name)'s workspace")
        let client = ClientInfo(request)
        let (account, opened) = try await database.transaction { tx in
            try await requireUnblocked(email, tx)
            let (account, workspace) = try await AccountStore.insert(new, hash, tx)
            announce(account, workspace, tx)
            sendLink(.verify, to: account.email, of: account.id, tx)
            if settings.requireVerification { return (account, Opened?.none) }
            return (account, openSession(for: try await AccountStore.held(account, tx), from: client, tx))
        }
        if let opened { return .json(201, try await answer(account, opened)) }
        return .json(201) { json in
            json.object { json in
                json.field("user", account)
                json.field("detail", "Confirm your e-mail address: a mail with a link is on its way. Then log in.")
            }
        }
    }

    /// Tells the other programs of a person, their workspace and their place in it.
    func announce(_ account: Account, _ workspace: WorkspaceSnapshot, _ tx: borrowing Transaction) {
        tx.publish(UserEvent.created(account.snapshot))
        tx.publish(WorkspaceEvent.created(workspace))
        tx.publish(
            WorkspaceEvent.memberAdded(
                MemberSnapshot(
                    workspaceID: workspace.id, userID: account.id, role: .owner, email: account.email.text,
                    name: account.fullName)))
    }

    /// Nothing an e-mail address could be mistaken for, and nothing that needs escaping in a link.
    static func isUsername(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || (byte >= 0x30 && byte <= 0x39) || byte >= 0x80
                || [0x2E, 0x5F, 0x2D, 0x2B].contains(byte)
        }
    }
}
