import HTTP
import Shared

/// Every endpoint of auth, one line each.
enum Routes {
    static func list(_ accounts: Accounts) -> [Route] { signIn(accounts) + people(accounts) }

    private static func signIn(_ accounts: Accounts) -> [Route] {
        [
            .post(
                "/api/auth/register/", "Register a person and their workspace", access: .everyone,
                body: Schemas.registration, returns: [201: Schemas.tokens]
            ) { try await accounts.register($0) },
            .post(
                "/api/auth/login/", "Log in by e-mail or user name", access: .everyone,
                body: Schemas.login, returns: .ok(Schemas.tokens)
            ) { try await accounts.logIn($0) },
            .post(
                "/api/auth/refresh/", "Exchange a refresh token for new tokens", access: .everyone,
                body: Schemas.refresh, returns: .ok(Schemas.tokens)
            ) { try await accounts.refresh($0) },
            .post(
                "/api/auth/logout/", "End this session, or the one a refresh token belongs to", access: .member,
                body: Schemas.logout, returns: .nothing
            ) { try await accounts.logOut($0) },
            .get(
                "/.well-known/jwks.json", "The keys access tokens are signed with", access: .everyone, limit: .none,
                returns: .ok(Schemas.keySet)
            ) { _ in accounts.keySet() },
        ]
    }

    private static func people(_ accounts: Accounts) -> [Route] {
        [
            .get("/api/users/users/me/", "Who I am", access: .member, returns: .ok(Schemas.user)) {
                try await accounts.me($0)
            }
        ]
    }
}

/// What auth takes and returns.
enum Schemas {
    static let user = Schema.ref(
        "User",
        .object(
            .required("id", .uuid), .required("email", .string(format: "email")), .required("username", .string),
            .required("first_name", .string), .required("last_name", .string), .required("full_name", .string),
            .required("phone", .nullable(.string), "E.164"), .required("role", .choice(Role.self)),
            .required("is_staff", .boolean), .required("is_superuser", .boolean),
            .required("status", .choice(Account.Status.self)), .required("is_active", .boolean),
            .required("is_verified", .boolean), .required("avatar", .nullable(.string)),
            .required("last_login", .nullable(.instant)), .required("date_joined", .instant),
            .required("created_at", .instant), .required("updated_at", .instant)))

    static let tokens = Schema.ref(
        "Tokens",
        .object(
            .required("access", .string, "A JWT for `Authorization: Bearer`."),
            .required("refresh", .string, "Good for one refresh; a second use ends the session."),
            .required("token_type", .string(enum: ["Bearer"])),
            .required("expires_in", .integer, "Seconds the access token lives."), .required("user", user)))

    static let registration = Schema.ref(
        "Registration",
        .object(
            .required("email", .string(format: "email", max: 320)),
            .required("password", .string(min: PasswordRule.lengthMin, max: PasswordRule.lengthMax)),
            .optional("username", .string(max: 60)), .optional("first_name", .string(max: 100)),
            .optional("last_name", .string(max: 100)), .optional("phone", .string, "E.164"),
            .optional("role", .choice(Role.self), "`user` (default) or `agent`; anything else is refused.")))

    static let login = Schema.ref(
        "Login",
        .object(
            .optional("email", .string(max: 320), "Or `username`."), .optional("username", .string(max: 320)),
            .required("password", .string(max: PasswordRule.lengthMax)),
            .optional("cancel_deletion", .boolean, "Keep an account that is being deleted.")))

    static let refresh = Schema.object(.required("refresh", .string(max: 200)))
    static let logout = Schema.object(.optional("refresh", .string(max: 200), "Default: the access token's session."))
    static let keySet = Schema.object(.required("keys", .array(.anyObject)))
}
