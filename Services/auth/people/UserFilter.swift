import HTTP
import Shared

/// What `GET /api/users/users/` may be asked for.
struct UserFilter: Sendable {
    enum Order: String, CaseIterable, Sendable {
        case createdAt = "created_at"
        case updatedAt = "updated_at"
        case lastLogin = "last_login"
        case email, username
        case firstName = "first_name"
        case lastName = "last_name"
    }

    static let orders = Order.allCases.map(\.rawValue)

    /// The only person to be seen, for whoever may not see all.
    var only: UserID?
    var search: UserSearch?
    var role: Role?
    var status: Account.Status?
    var isActive: Bool?
    var isStaff: Bool?
    var isSuperuser: Bool?
    var isVerified: Bool?
    var email: String?
    var username: String?
    var firstName: String?
    var lastName: String?
    var phone: PhoneNumber?
    var workspace: WorkspaceID?
    var created: (from: Instant?, until: Instant?)
    var updated: (from: Instant?, until: Instant?)
    var loggedIn: (from: Instant?, until: Instant?)
    var order = Order.createdAt
    var descending = true

    init(_ form: inout Form, only: UserID?) {
        self.only = only
        search = form.optionalString("search", max: 200).flatMap(UserSearch.init)
        role = form.optionalChoice("role", as: Role.self)
        status = form.optionalChoice("status", as: Account.Status.self)
        isActive = form.optionalBool("is_active")
        isStaff = form.optionalBool("is_staff")
        isSuperuser = form.optionalBool("is_superuser")
        isVerified = form.optionalBool("is_verified")
        email = form.optionalString("email", max: 320)?.lowercased()
        username = form.optionalString("username", max: 60)?.lowercased()
        firstName = form.optionalString("first_name", max: 100)
        lastName = form.optionalString("last_name", max: 100)
        phone = form.optionalPhone("phone")
        workspace = form.optionalID("workspace", as: WorkspaceID.self)
        created = Self.range(&form, "created_at")
        updated = Self.range(&form, "updated_at")
        loggedIn = Self.range(&form, "last_login")
        let ordering = Ordering(
            &form, among: Self.orders, default: Ordering(field: Order.createdAt.rawValue, descending: true))
        order = Order(rawValue: ordering.field) ?? .createdAt
        descending = ordering.isDescending
    }

    private static func range(_ form: inout Form, _ name: String) -> (from: Instant?, until: Instant?) {
        let (from, until) = form.dateRange(from: name + "__gte", to: name + "__lte")
        return (from?.firstInUTC, until?.endInUTC)
    }

    /// Whether the table of counts knows how many there are.
    var isCounted: Bool { isByDay && !isCreatedWithin }
    /// Whether the tables of counts know how many there are of whole days.
    var isByDay: Bool { search == nil && !isNarrow && !isWithin([updated, loggedIn]) }
    var isCreatedWithin: Bool { isWithin([created]) }

    /// Whether a kind is asked for.
    var isOfKind: Bool {
        let kinds: [Any?] = [role, status, isActive, isStaff, isSuperuser, isVerified]
        return kinds.contains { $0 != nil }
    }

    /// Whether something is asked for that few share.
    var isNarrow: Bool {
        let others: [Any?] = [only, email, username, firstName, lastName, phone, workspace]
        return others.contains { $0 != nil }
    }

    private func isWithin(_ ranges: [(from: Instant?, until: Instant?)]) -> Bool {
        ranges.contains { $0.from != nil || $0.until != nil }
    }
}
