import HTTP
import Messaging
import Postgres
import Shared

/// Document 002's and 004's `user_profile`.
struct Profile: JSONWritable {
    let account: Account
    let deletesAt: Instant?

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", account.id)
            json.field("email", account.email.text)
            json.field("full_name", account.fullName)
            json.field("user_name", account.username)
            json.field("first_name", account.firstName)
            json.field("last_name", account.lastName)
            json.field("phone", account.phone)
            json.field("avatar", account.avatar)
            json.field("is_verified", account.isVerified)
            json.field("date_joined", account.createdAt)
            json.field("account_status", account.status.rawValue)
            json.field("role", account.role.rawValue)
            json.field("last_login", account.lastLogin)
            json.field("updated_at", account.updatedAt)
            json.field("deletes_at", deletesAt)
        }
    }
}

/// What a person may change about themselves; nil leaves it.
struct ProfileChange: Sendable {
    var email: EmailAddress?
    var username: String?
    var firstName: String?
    var lastName: String?
    /// `.some(nil)` clears it.
    var phone: PhoneNumber??
}

extension Personal {
    /// `GET /api/dashboard/user/profile/`
    func readProfile(_ request: Request) async throws -> Response {
        .json(200, try await profile(of: request.requirePrincipal().user))
    }

    /// `PATCH`: only what is there changes; `PUT`: what is not there is emptied, and the address and the user name must be
    /// there. Fields that nobody may set (`id`, `is_verified`, …) may come along and change nothing.
    func changeProfile(_ request: Request, whole: Bool) async throws -> Response {
        let principal = try request.requirePrincipal()
        try principal.require(.writeUsers, of: principal.user)
        var form = try await request.form()
        let change = Self.change(&form, whole: whole)
        try form.finish()
        let actor = try Audit.Actor(request)
        try await database.transaction { (tx: borrowing Transaction) in
            guard let before = try await UserStore.lock(principal.user, tx) else {
                throw Problem.notFound(.userNotFound)
            }
            if let email = change.email, email.folded != before.email.folded {
                try await accounts.requireUnblocked(email, tx)
            }
            guard let after = try await ProfileStore.change(principal.user, change, tx) else {
                throw Problem.notFound(.userNotFound)
            }
            tx.publish(UserEvent.updated(after.snapshot))
            try await accounts.tellAddresses(before, after, tx)
            if after.logsInOtherwise(than: before) {
                Audit.record("users.updated", .user, after.id.text, before: before, after: after, by: actor, tx)
            }
        }
        return .json(200, try await profile(of: principal.user))
    }

    private static func change(_ form: inout Form, whole: Bool) -> ProfileChange {
        var change = ProfileChange()
        change.email = whole ? form.email("email") : form.optionalEmail("email")
        let name = form.has("user_name") ? "user_name" : form.has("username") ? "username" : "user_name"
        change.username = whole ? form.string(name, max: 60) : form.optionalString(name, min: 1, max: 60)
        if let username = change.username, !username.isEmpty, !Accounts.isUsername(username) {
            form.fail(name, "may hold letters, digits and . _ - + only")
        }
        change.firstName = form.optionalString("first_name", max: 100)
        change.lastName = form.optionalString("last_name", max: 100)
        if let full = form.optionalString("full_name", max: 200), change.firstName == nil, change.lastName == nil {
            // The first word and the rest: what a form with one field for the name means.
            let words = full.split(separator: " ", maxSplits: 1).map(String.init)
            change.firstName = words.first ?? ""
            change.lastName = words.count > 1 ? words[1] : ""
        }
        if form.has("phone") || whole { change.phone = .some(form.optionalPhone("phone")) }
        if whole {
            change.firstName = change.firstName ?? ""
            change.lastName = change.lastName ?? ""
        }
        return change
    }

    func profile(of user: UserID) async throws -> Profile {
        let rows = try await database.pipeline([AccountStore.finding(user), DeletionStore.planned(user)])
        guard let account = try rows[0].first.map(AccountStore.account) else { throw Problem.notFound(.userNotFound) }
        return Profile(account: account, deletesAt: try rows[1].first.map { try $0["deletes_at"] })
    }
}
