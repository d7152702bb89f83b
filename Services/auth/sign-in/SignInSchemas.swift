import HTTP
import Shared

/// What the routes of signing in take and return.
extension Schemas {
    static let said = Schema.object(.required("detail", .string))
    static let registered = Schema.ref(
        "Registered",
        .object(
            .required("user", user),
            .optional("access", .string, "Left out, like the rest, when the address has to be confirmed first."),
            .optional("refresh", .string), .optional("token_type", .string), .optional("expires_in", .integer),
            .optional("detail", .string)))
    static let email = Schema.object(.required("email", .string(format: "email", max: 320)))
    static let linkToken = Schema.object(
        .required("token", .string(max: 200), "What stands behind `#token=` in the mail's link."))
    static let newPassword = Schema.object(
        .required("token", .string(max: 200), "What stands behind `#token=` in the mail's link."),
        .required("new_password", password))
    static let changedPassword = Schema.object(
        .required("current_password", .string(max: PasswordRule.lengthMax)), .required("new_password", password))
    static let password = Schema.string(min: PasswordRule.lengthMin, max: PasswordRule.lengthMax)

    static let session = Schema.ref(
        "Session",
        .object(
            .required("id", .uuid),
            .required("kind", .string(enum: ["login", "basic"]), "`basic`: requests with HTTP Basic from one place."),
            .required("device", .string, "A guess from the user agent."), .required("user_agent", .string),
            .required("address", .string), .required("created_at", .instant), .required("last_used_at", .instant),
            .required("expires_at", .instant), .required("is_current", .boolean)))

    private static let keyFields: [Field] = [
        .required("id", .uuid), .required("name", .string),
        .required("prefix", .string, "The key's first characters."),
        .required("scopes", .array(.string)), .required("expires_at", .nullable(.instant)),
        .required("last_used_at", .nullable(.instant)), .required("created_at", .instant),
    ]
    static let apiKey = Schema.ref("APIKey", .object(keyFields))
    static let createdAPIKey = Schema.ref(
        "CreatedAPIKey", .object(keyFields + [.required("key", .string, "Shown this once: keep it.")]))
    static let newAPIKey = Schema.object(
        .required("name", .string(min: 1, max: 100)),
        .required(
            "scopes", .array(.string(pattern: "^(\\*|read|write|[a-z][a-z0-9-]*:(read|write))$"), max: 40),
            "`*`, `read`, `write`, or an area (a route's first tag) and one of the two, such as `calls:read`."),
        .optional("expires_at", .instant))

    static let secondFactor = Schema.object(
        .required("enabled", .boolean), .required("confirmed_at", .nullable(.instant)),
        .required("recovery_codes_left", .integer(min: 0)))
    static let factorSecret = Schema.object(
        .required("secret", .string, "Base32, for typing in."),
        .required("otpauth_uri", .string, "For a QR code (RFC 6238, six digits, 30 seconds)."))
    static let recoveryCodes = Schema.object(
        .required("recovery_codes", .array(.string), "Each replaces one code, once. Shown this once."))
    static let passwordOnly = Schema.object(.required("password", .string(max: PasswordRule.lengthMax)))
    static let otp = Schema.object(.required("otp", .string(max: 20)))
    static let passwordAndFactor = Schema.object(
        .required("password", .string(max: PasswordRule.lengthMax)), .optional("otp", .string(max: 20)),
        .optional("recovery_code", .string(max: 60)))

    static let credential = Schema.object(
        .optional("key", .string(max: 200), "An API key, or the two below."), .optional("user", .string(max: 320)),
        .optional("password", .string(max: PasswordRule.lengthMax)), .optional("address", .string(max: 64)),
        .optional("user_agent", .string(max: 300)))
    static let exchanged = Schema.object(.required("access", .string), .required("expires_in", .integer))
}
