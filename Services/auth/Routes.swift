import HTTP
import Shared

/// Every endpoint of auth, one line each.
enum Routes {
    static func list(_ accounts: Accounts) -> [Route] {
        signIn(accounts) + credentials(accounts) + accounts.userRoutes + accounts.workspaceRoutes
    }

    private static func signIn(_ accounts: Accounts) -> [Route] {
        [
            .post(
                "/api/auth/register/", "Register a person and their workspace", access: .everyone,
                body: Schemas.registration, returns: [201: Schemas.registered, 403: nil]
            ) { try await accounts.register($0) },
            .post(
                "/api/auth/login/", "Log in by e-mail or user name",
                detail:
                    "401 with the code SECOND_FACTOR_REQUIRED: the password was right, send `otp` or `recovery_code` too.",
                access: .everyone,
                body: Schemas.login, returns: [200: Schemas.tokens, 401: nil, 403: nil]
            ) { try await accounts.logIn($0) },
            .post(
                "/api/auth/refresh/", "Exchange a refresh token for new tokens", access: .everyone,
                body: Schemas.refresh, returns: [200: Schemas.tokens, 401: nil, 403: nil]
            ) { try await accounts.refresh($0) },
            .post(
                "/api/auth/logout/", "End this session, the one a refresh token belongs to, or all", access: .member,
                body: Schemas.logout, returns: .nothing
            ) { try await accounts.logOut($0) },
            .post(
                "/api/auth/password/reset/", "Ask for a link to choose a new password with", access: .everyone,
                body: Schemas.email, returns: .ok(Schemas.said)
            ) { try await accounts.requestReset($0) },
            .post(
                "/api/auth/password/reset/confirm/", "Choose a new password; every session ends", access: .everyone,
                body: Schemas.newPassword, returns: .ok(Schemas.said)
            ) { try await accounts.confirmReset($0) },
            .get(
                "/api/auth/password/reset/confirm/", "The page a mail's link opens", access: .everyone,
                returns: .ok(.string), produces: "text/html"
            ) { LinkPages.resetPassword($0) },
            .post(
                "/api/auth/verify-email/", "Confirm an e-mail address", access: .everyone,
                body: Schemas.linkToken, returns: .ok(Schemas.said)
            ) { try await accounts.verifyEmail($0) },
            .get(
                "/api/auth/verify-email/", "The page a mail's link opens", access: .everyone,
                returns: .ok(.string), produces: "text/html"
            ) { LinkPages.verifyEmail($0) },
            .post(
                "/api/auth/verify-email/resend/", "Ask for another link to confirm an e-mail address with",
                access: .everyone, body: Schemas.email, returns: .ok(Schemas.said)
            ) { try await accounts.resendVerification($0) },
            .get(
                "/.well-known/jwks.json", "The keys access tokens are signed with", tag: "auth", access: .everyone,
                limit: .none, returns: .ok(Schemas.keySet)
            ) { _ in accounts.keySet() },
        ]
    }

    /// What a person logs in with, and where they are logged in. None takes an Idempotency-Key: an answer that holds a
    /// secret must not be kept.
    private static func credentials(_ accounts: Accounts) -> [Route] {
        [
            .post(
                "/api/dashboard/user/change-password/", "Change the password; every other session ends", tag: "auth",
                access: .member, body: Schemas.changedPassword, returns: .ok(Schemas.said)
            ) { try await accounts.changePassword($0) },
            .get(
                "/api/auth/sessions/", "Where I am logged in", access: .member, query: .classicPage,
                returns: .ok(.results(of: Schemas.session))
            ) { try await accounts.sessions($0) },
            .delete(
                "/api/auth/sessions/", "End every session but this one", access: .member,
                returns: .ok(.object(.required("ended", .integer)))
            ) { try await accounts.endOtherSessions($0) },
            .delete("/api/auth/sessions/{session_id}/", "End one session", access: .member) {
                try await accounts.endSession($0)
            },
            .get(
                "/api/auth/api-keys/", "My API keys", access: .member, query: .classicPage,
                returns: .ok(.results(of: Schemas.apiKey))
            ) { try await accounts.apiKeys($0) },
            .post(
                "/api/auth/api-keys/", "Make an API key, shown this once", access: .member, body: Schemas.newAPIKey,
                returns: [201: Schemas.createdAPIKey, 409: nil]
            ) { try await accounts.createAPIKey($0) },
            .get("/api/auth/api-keys/{key_id}/", "One API key", access: .member, returns: .ok(Schemas.apiKey)) {
                try await accounts.apiKey($0)
            },
            .delete("/api/auth/api-keys/{key_id}/", "Revoke an API key", access: .member) {
                try await accounts.revokeAPIKey($0)
            },
            .get(
                "/api/auth/totp/", "Whether I have a second factor", access: .member,
                returns: .ok(Schemas.secondFactor)
            ) { try await accounts.secondFactorState($0) },
            .post(
                "/api/auth/totp/", "Begin a second factor: a secret for a telephone", access: .member,
                body: Schemas.passwordOnly, returns: [201: Schemas.factorSecret, 409: nil]
            ) { try await accounts.beginSecondFactor($0) },
            .post(
                "/api/auth/totp/confirm/", "Confirm it with a code; it counts from now on", access: .member,
                body: Schemas.otp, returns: [200: Schemas.recoveryCodes, 409: nil]
            ) { try await accounts.confirmSecondFactor($0) },
            .post(
                "/api/auth/totp/recovery-codes/", "New recovery codes in place of the old ones", access: .member,
                body: Schemas.passwordAndFactor, returns: [200: Schemas.recoveryCodes, 409: nil]
            ) { try await accounts.renewRecoveryCodes($0) },
            .delete(
                "/api/auth/totp/", "Take the second factor away", access: .member, body: Schemas.passwordAndFactor,
                returns: [204: nil, 409: nil]
            ) { try await accounts.endSecondFactor($0) },
            .post(
                "/internal/auth/exchange", "A token for an API key or a password, for the gateway", access: .internal,
                body: Schemas.credential, returns: .ok(Schemas.exchanged)
            ) { try await accounts.exchange($0) },
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
            .required("last_login", .nullable(.instant), "Noted once a minute at most."),
            .required("date_joined", .instant),
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
            .optional("otp", .string(max: 20), "The code of a second factor."),
            .optional("recovery_code", .string(max: 60), "Instead of it."),
            .optional("cancel_deletion", .boolean, "Keep an account that is being deleted.")))

    static let refresh = Schema.object(.required("refresh", .string(max: 200)))
    static let logout = Schema.object(
        .optional("refresh", .string(max: 200), "Default: the access token's session."),
        .optional("everywhere", .boolean, "Every session of mine, this one included."))
    static let keySet = Schema.object(.required("keys", .array(.anyObject)))
}
