import HTTP
import Shared

/// The fields of a person that a body may hold, and who may change which.
struct UserBody: Sendable {
    private let whole: Bool
    private let email: EmailAddress?
    private let username: String?
    private let firstName: String?
    private let lastName: String?
    private let phone: PhoneNumber?
    private let setsPhone: Bool
    private let role: Role?
    private let isStaff: Bool?
    private let isSuperuser: Bool?
    private let isVerified: Bool?
    private let status: Account.Status?
    private let isActive: Bool?

    /// - Parameter whole: the body of a PUT: the e-mail address and the user name are required, and what is left out of the
    ///   rest of what people change themselves is emptied.
    init(_ form: inout Form, whole: Bool) {
        self.whole = whole
        email = whole ? form.email("email") : form.optionalEmail("email")
        username = whole ? form.string("username", max: 60) : form.optionalString("username", min: 1, max: 60)
        if let username, !username.isEmpty, !Accounts.isUsername(username) {
            form.fail("username", "may hold letters, digits and . _ - + only")
        }
        firstName = form.optionalString("first_name", max: 100) ?? (whole ? "" : nil)
        lastName = form.optionalString("last_name", max: 100) ?? (whole ? "" : nil)
        // The JSON shows an absent number as null or as an empty text.
        let clearsPhone = form.value("phone") == "" || form.has("phone") && form.value("phone") == nil
        phone = clearsPhone ? nil : form.optionalPhone("phone")
        setsPhone = whole || form.has("phone")
        role = form.optionalChoice("role", as: Role.self)
        isStaff = form.optionalBool("is_staff")
        isSuperuser = form.optionalBool("is_superuser")
        isVerified = form.optionalBool("is_verified")
        status = form.optionalChoice("status", as: Account.Status.self)
        isActive = form.optionalBool("is_active")
    }

    /// Changes what the body says, if `principal` may. A field that says what is so already asks for nothing, so whoever
    /// reads a person may send all of it back.
    /// - Throws: 403 that names what is not theirs to change, 400 for what contradicts itself.
    func apply(to account: inout Account, by principal: Principal) throws(Problem) {
        let isOneself = account.id == principal.user
        if !isOneself { try Self.requireReach(to: account, principal) }
        try refuseForeign(account, principal, isOneself: isOneself)
        if let email, email != account.email {
            // Whether mail reaches the new address is not known.
            if email.folded != account.email.folded { account.isVerified = false }
            account.email = email
        }
        if let username { account.username = username }
        if let firstName { account.firstName = firstName }
        if let lastName { account.lastName = lastName }
        if setsPhone { account.phone = phone }
        if let isVerified, isVerified || !isOneself { account.isVerified = isVerified }
        let rank = try Self.rank(
            role: role, isStaff: isStaff, isSuperuser: isSuperuser,
            before: (account.role, account.isStaff, account.isSuperuser))
        (account.role, account.isStaff, account.isSuperuser) = rank
    }

    private func refuseForeign(_ account: Account, _ principal: Principal, isOneself: Bool) throws(Problem) {
        var refused: [(name: String, message: String)] = []
        if !principal.isAdmin {
            let message = "is for admins to change"
            if let role, role != account.role { refused.append(("role", message)) }
            if let isStaff, isStaff != account.isStaff { refused.append(("is_staff", message)) }
            if let isSuperuser, isSuperuser != account.isSuperuser { refused.append(("is_superuser", message)) }
            if let isVerified, isVerified != account.isVerified, isOneself || !principal.staff {
                refused.append(("is_verified", "is for staff to change"))
            }
        }
        let changesStatus = status.map { $0 != account.status } ?? false
        let changesActive = isActive.map { $0 != (account.status == .active) } ?? false
        if changesStatus || changesActive {
            let name = changesStatus ? "status" : "is_active"
            if principal.isAdmin || principal.staff {
                throw .validation(name, "is changed with PATCH /api/users/users/{id}/change_status/")
            }
            refused.append((name, "is for staff to change"))
        }
        guard refused.isEmpty else {
            throw Problem(
                .forbidden, refused.map { "\($0.name) \($0.message)" }.joined(separator: "; ") + ".", fields: refused)
        }
    }

    /// - Throws: 403 for an admin when the asker is none.
    static func requireReach(to account: Account, _ principal: Principal) throws(Problem) {
        guard !principal.isAdmin, account.role == .admin || account.isSuperuser else { return }
        throw .forbidden("Only admins may change an admin.")
    }

    typealias Rank = (role: Role, isStaff: Bool, isSuperuser: Bool)

    /// 000's role and 001's two flags say one thing: an admin is both staff and superuser, and nobody else is a superuser.
    static func rank(role: Role?, isStaff: Bool?, isSuperuser: Bool?, before: Rank) throws(Problem) -> Rank {
        let fallback: Role = before.role == .admin && isSuperuser == false ? .user : before.role
        let next = role ?? (isSuperuser == true ? .admin : fallback)
        if next == .admin {
            if isSuperuser == false { throw .validation("is_superuser", "is true for every admin") }
            if isStaff == false { throw .validation("is_staff", "is true for every admin") }
            return (.admin, true, true)
        }
        if isSuperuser == true { throw .validation("is_superuser", "goes with the role admin") }
        return (next, isStaff ?? (before.role == .admin ? false : before.isStaff), false)
    }
}
