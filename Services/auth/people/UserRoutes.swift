import HTTP
import Shared

/// Document 001's user management, the blacklist and the audit trail: one line each.
extension Accounts {
    var userRoutes: [Route] { users + blacklist + trail }

    private var users: [Route] {
        [
            .get(
                "/api/users/users/", "List people",
                detail:
                    "Staff see everybody, everybody else themselves. `count` is exact for kinds (role, status, is_…) and "
                    + "days of creation, for other filters up to 20,000 and for a search up to 2,500; beyond, "
                    + "`count_is_estimate` is true. `next` leads on without skipping, however far.",
                access: .may(.readUsers), query: UserSchemas.query,
                returns: .ok(.results(of: Schemas.user, mayEstimate: true)),
                handler: listUsers),
            .post(
                "/api/users/users/", "Make an account for somebody", access: .may(.createUsers),
                body: UserSchemas.new, returns: .created(Schemas.user), idempotent: true, handler: createUser),
            .get("/api/users/users/me/", "Who I am", access: .member, returns: .ok(Schemas.user)) { try await me($0) },
            .patch(
                "/api/users/users/me/", "Change what is mine to change", access: .member, body: UserSchemas.own,
                returns: [200: Schemas.user, 409: nil], handler: updateMe),
            .get(
                "/api/users/users/{id}/", "One person", access: .may(.readUsers), returns: .ok(Schemas.user),
                handler: getUser),
            .put(
                "/api/users/users/{id}/", "Replace a person's data", detail: UserSchemas.rights,
                access: .may(.writeUsers), body: UserSchemas.whole, returns: [200: Schemas.user, 409: nil],
                handler: replaceUser),
            .patch(
                "/api/users/users/{id}/", "Change a person's data", detail: UserSchemas.rights,
                access: .may(.writeUsers), body: UserSchemas.part, returns: [200: Schemas.user, 409: nil],
                handler: updateUser),
            .patch(
                "/api/users/users/{id}/change_status/", "Activate, deactivate or suspend an account",
                detail:
                    "Other than `active` ends every session, cuts access tokens and closes sockets within a second. "
                    + "Not for one's own account; an admin's only by an admin.",
                access: .may(.changeStatus), body: UserSchemas.status, returns: [200: Schemas.user, 409: nil],
                handler: changeStatus),
        ]
    }

    private var blacklist: [Route] {
        [
            .get(
                "/api/users/blacklist/", "List what is blocked", access: .may(.readBlacklist),
                query: BlacklistSchemas.query, returns: .ok(.results(of: BlacklistSchemas.entry)),
                handler: listBlacklist),
            .post(
                "/api/users/blacklist/", "Block a person, an e-mail address, a number or a range of numbers",
                detail: BlacklistSchemas.detail, access: .may(.writeBlacklist), body: BlacklistSchemas.new,
                returns: .created(BlacklistSchemas.entry), idempotent: true, handler: addToBlacklist),
            .get(
                "/api/users/blacklist/{id}/", "One entry", access: .may(.readBlacklist),
                returns: .ok(BlacklistSchemas.entry), handler: getBlacklistEntry),
            .put(
                "/api/users/blacklist/{id}/", "Replace an entry's reason and end", access: .may(.writeBlacklist),
                body: BlacklistSchemas.whole, returns: .ok(BlacklistSchemas.entry), handler: replaceBlacklistEntry),
            .patch(
                "/api/users/blacklist/{id}/", "Change an entry's reason and end", access: .may(.writeBlacklist),
                body: BlacklistSchemas.part, returns: .ok(BlacklistSchemas.entry), handler: updateBlacklistEntry),
            .delete(
                "/api/users/blacklist/{id}/", "Lift an entry, within a second", access: .may(.writeBlacklist),
                handler: removeFromBlacklist),
        ]
    }

    private var trail: [Route] {
        [
            .get(
                "/api/users/audit/", "The trail of administrative changes", access: .may(.readAudit),
                query: AuditSchemas.query, returns: .ok(.results(of: AuditSchemas.line)), handler: readAudit)
        ]
    }
}

/// What is said and asked about people.
enum UserSchemas {
    static let rights =
        "People change their own name, e-mail address (which is then unverified), user name and phone number. Staff do so "
        + "for everybody but admins, and set `is_verified`. `role`, `is_staff` and `is_superuser` are the admins'; from "
        + "anybody else a different value is refused with 403, naming the field. An admin is both staff and superuser."

    private static let personal: [Field] = [
        .optional("first_name", .string(max: 100)), .optional("last_name", .string(max: 100)),
        .optional("phone", .nullable(.phoneOrEmpty), "E.164; null or an empty text removes it."),
    ]
    private static let ranks: [Field] = [
        .optional("role", .choice(Role.self), "For admins."), .optional("is_staff", .boolean, "For admins."),
        .optional("is_superuser", .boolean, "For admins."), .optional("is_verified", .boolean, "For staff."),
    ]
    private static let names: [Field] = [
        .optional("email", .string(format: "email", max: 320)), .optional("username", .string(min: 1, max: 60)),
    ]

    static let own = Schema.object(names + personal)
    static let part = Schema.object(names + personal + ranks)
    static let whole = Schema.object(
        [
            .required("email", .string(format: "email", max: 320)), .required("username", .string(min: 1, max: 60)),
        ] + personal + ranks)
    static let new = Schema.object(
        [
            .required("email", .string(format: "email", max: 320)),
            .required("password", .string(min: PasswordRule.lengthMin, max: PasswordRule.lengthMax), "The first one."),
            .optional("username", .string(min: 1, max: 60)),
        ] + personal + ranks)
    static let status = Schema.object(
        .required("status", .choice(Account.Status.self)), .optional("reason", .string(max: 500)))

    static let query: [Parameter] =
        .classicList(ordering: UserFilter.orders, places: true) + [
            .query("role", .choice(Role.self)), .query("status", .choice(Account.Status.self)),
            .query("is_active", .boolean), .query("is_staff", .boolean), .query("is_superuser", .boolean),
            .query("is_verified", .boolean), .query("email", .string(max: 320), "The whole address, in any case."),
            .query("username", .string(max: 60), "The whole user name, in any case."),
            .query("first_name", .string(max: 100)), .query("last_name", .string(max: 100)),
            .query("phone", .string, "E.164."), .query("workspace", .uuid, "Members of this workspace."),
        ]
        + ["created_at", "updated_at", "last_login"].flatMap { name in
            [.query(name + "__gte", .string, "A day or an instant."), .query(name + "__lte", .string)]
        }
}

enum AuditSchemas {
    static let line = Schema.ref(
        "AuditLine",
        .object(
            .required("id", .uuid), .required("created_at", .instant),
            .required(
                "actor",
                .object(
                    .required("id", .nullable(.uuid), "null: a command on the machine."),
                    .required("email", .nullable(.string), "null: the account is gone."),
                    .required("name", .nullable(.string)), .required("role", .string),
                    .required("session_id", .nullable(.uuid)), .required("api_key_id", .nullable(.uuid)))),
            .required("action", .string, "Such as `users.status_changed`."),
            .required("thing", .choice(Audit.Thing.self)),
            .required("thing_id", .string), .required("workspace", .nullable(.uuid)),
            .required("before", .nullable(.anyObject), "What changed, as it was."),
            .required("after", .nullable(.anyObject), "What changed, as it became."),
            .required("address", .nullable(.string)), .required("user_agent", .nullable(.string)),
            .required("request_id", .nullable(.string), "`X-Request-Id` of the request that did it.")))

    static let query: [Parameter] =
        .classicList(ordering: AuditFilter.orders) + [
            .query("actor", .uuid), .query("action", .string(max: 100), "`users.created`, or `users` for all of them."),
            .query("thing", .choice(Audit.Thing.self)), .query("thing_id", .string(max: 100)),
            .query("workspace", .uuid), .query("created_at__gte", .string, "A day or an instant."),
            .query("created_at__lte", .string),
        ]
}
