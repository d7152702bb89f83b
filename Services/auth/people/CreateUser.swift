import HTTP
import Messaging
import Passwords
import Postgres
import Shared

extension Accounts {
    /// `POST /api/users/users/`: staff make an account for somebody, with the first password. As with registration, a
    /// workspace comes with it.
    func createUser(_ request: Request) async throws -> Response {
        let principal = try request.requirePrincipal()
        try principal.require(.createUsers)
        var form = try await request.form()
        let email = form.email("email")
        let password = form.string("password", max: PasswordRule.lengthMax, trimmed: false)
        let username = form.optionalString("username", min: 1, max: 60)
        if let username, !Self.isUsername(username) {
            form.fail("username", "may hold letters, digits and . _ - + only")
        }
        let firstName = form.optionalString("first_name", max: 100) ?? ""
        let lastName = form.optionalString("last_name", max: 100) ?? ""
        let phone = form.optionalPhone("phone")
        let role = form.optionalChoice("role", as: Role.self)
        let isStaff = form.optionalBool("is_staff")
        let isSuperuser = form.optionalBool("is_superuser")
        let isVerified = form.optionalBool("is_verified", default: false)
        if !form.hasFailed, let complaint = PasswordRule.complaint(password, email: email.text, username: username) {
            form.fail("password", complaint)
        }
        try form.finish()
        let rank = try UserBody.rank(
            role: role, isStaff: isStaff, isSuperuser: isSuperuser, before: (.user, false, false))
        if rank.isStaff || rank.isSuperuser {
            guard principal.isAdmin else {
                let name = role == .admin ? "role" : isSuperuser == true ? "is_superuser" : "is_staff"
                throw Problem(
                    .forbidden, "\(name) is for admins to give.", fields: [(name, "is for admins to give")])
            }
        }
        let hash = try await passwords.hash(password)
        let name = firstName.isEmpty ? email.text.prefix { $0 != "@" } : firstName[...]
        let new = NewAccount(
            email: email, username: username, firstName: firstName, lastName: lastName, phone: phone, role: rank.role,
            isStaff: rank.isStaff, isSuperuser: rank.isSuperuser, isVerified: isVerified,
            workspaceName: "\(name)'s workspace")
        let actor = try Audit.Actor(request)
        let account = try await database.transaction { (tx: borrowing Transaction) -> Account in
            try await requireUnblocked(email, tx)
            let (account, workspace) = try await AccountStore.insert(new, hash, tx)
            announce(account, workspace, tx)
            Audit.record("users.created", .user, account.id.text, after: account, by: actor, tx)
            return account
        }
        return .json(201, account)
    }
}
