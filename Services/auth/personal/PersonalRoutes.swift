import HTTP
import Shared

extension Personal {
    /// Document 002's profile, settings, picture, data and leaving; what admins see of it.
    var routes: [Route] { account + leaving }

    private var account: [Route] {
        let profile = "/api/dashboard/user/profile/"
        let settings = "/api/dashboard/user/settings/"
        let avatar = "/api/dashboard/user/avatar/"
        return [
            .get(profile, "My profile", access: .member, returns: .ok(PersonalSchemas.profile), handler: readProfile),
            .put(
                profile, "Replace my profile", detail: "What is left out is emptied.", access: .may(.writeUsers),
                body: PersonalSchemas.wholeProfile, returns: .ok(PersonalSchemas.profile)
            ) { try await changeProfile($0, whole: true) },
            .patch(
                profile, "Change my profile", detail: "Another e-mail address has to be verified again.",
                access: .may(.writeUsers), body: PersonalSchemas.profileChange, returns: .ok(PersonalSchemas.profile)
            ) { try await changeProfile($0, whole: false) },
            .get(
                settings, "My settings, whole", detail: "The ETag can be sent back as If-Match with a change.",
                access: .member, returns: .ok(PersonalSchemas.settings), handler: readSettings),
            .put(
                settings, "Change my settings", detail: PersonalSchemas.changeNote, access: .may(.writeUsers),
                headers: [PersonalSchemas.ifMatch], body: PersonalSchemas.settingsChange,
                returns: [200: PersonalSchemas.settings, 412: nil], handler: changeSettings),
            .patch(
                settings, "Change my settings", detail: PersonalSchemas.changeNote, access: .may(.writeUsers),
                headers: [PersonalSchemas.ifMatch], body: PersonalSchemas.settingsChange,
                returns: [200: PersonalSchemas.settings, 412: nil], handler: changeSettings),
            .post(
                avatar, "Upload my picture", detail: "PNG, JPEG or WebP of 5 MB and 24 megapixels at most.",
                access: .may(.writeUsers), body: .object(.required("avatar", .string(format: "binary"))),
                consumes: .multipart, returns: [200: PersonalSchemas.avatar, 413: nil],
                bodyMax: 6 << 20, deadline: .seconds(30), handler: uploadAvatar),
            .delete(avatar, "Remove my picture", access: .may(.writeUsers), handler: removeAvatar),
            .get(
                "/media/avatars/{file}", "A picture", tag: "media", access: .everyone, limit: .none,
                returns: [200: .string(format: "binary"), 304: nil, 404: nil], produces: "image/webp",
                handler: readAvatar),
        ]
    }

    private var leaving: [Route] {
        [
            .get(
                "/api/dashboard/user/export-data/", "Everything held of me, as a ZIP of JSON files",
                detail: "202 while it is being made: ask again. At most one a day.", access: .member,
                query: [.query("fresh", .boolean, "A newer archive than the one there is.")],
                returns: [200: .string(format: "binary"), 202: PersonalSchemas.export, 429: nil],
                produces: "application/zip", handler: exportData),
            .delete(
                "/api/dashboard/user/delete-account/", "Delete my account",
                detail: "Until `deletes_at` logging in with `cancel_deletion: true` takes it back.", access: .member,
                body: .object(
                    .required("password", .string(max: PasswordRule.lengthMax)), .required("confirm", .boolean)),
                returns: [202: PersonalSchemas.deletion, 409: nil], handler: deleteAccount),
            .delete(
                "/api/users/users/{id}/", "Delete a person and their data, at once", access: .may(.deleteUsers),
                returns: [202: PersonalSchemas.deleted, 409: nil], handler: deleteUser),
            .get(
                "/api/users/erasures/", "How far deletions are, newest first", access: .may(.deleteUsers),
                query: .classicPage + [
                    .query("state", .choice(ErasureState.self)), .query("id", .uuid, "Of the person or the workspace."),
                ],
                returns: .ok(Schema.results(of: PersonalSchemas.erasure)), handler: listErasures),
        ]
    }
}

/// What these routes take and return.
enum PersonalSchemas {
    static let changeNote = """
        What is there changes, however deep it lies; null brings back a default; the rest stays. Unknown names are refused.
        """
    static let ifMatch = Parameter.header("If-Match", .string, "The ETag the change is based on; 412 when it is old.")

    static let profile = Schema.ref(
        "UserProfile",
        .object(
            .required("id", .uuid), .required("email", .email), .required("full_name", .string),
            .required("user_name", .string), .required("first_name", .string), .required("last_name", .string),
            .required("phone", .nullable(.string), "E.164"), .required("avatar", .nullable(.string)),
            .required("is_verified", .boolean), .required("date_joined", .instant),
            .required("account_status", .choice(Account.Status.self)), .required("role", .choice(Role.self)),
            .required("last_login", .nullable(.instant)), .required("updated_at", .instant),
            .required("deletes_at", .nullable(.instant), "When the account is to be deleted.")))

    private static func names(required: Bool) -> [Field] {
        [
            Field("email", .string(format: "email", max: 320), optional: !required),
            Field("user_name", .string(min: 1, max: 60), optional: !required),
            .optional("first_name", .string(max: 100)), .optional("last_name", .string(max: 100)),
            .optional("full_name", .string(max: 200), "Instead of the two; the first word is the first name."),
            .optional("phone", .nullable(.phone), "null removes it."),
        ]
    }

    static let wholeProfile = Schema.object(names(required: true))
    static let profileChange = Schema.object(names(required: false))

    static let settings = Schema.ref("UserSettings", SettingsDocument.root.schema(partial: false))
    static let settingsChange = Schema.ref("UserSettingsChange", SettingsDocument.root.schema(partial: true))

    static let avatar = Schema.object(
        .required("avatar", .string), .required("sizes", .map(.string), "By side length in pixels."))

    static let export = Schema.object(
        .required(
            "job",
            .object(
                .required("id", .uuid), .required("state", .choice(ExportJob.State.self)),
                .required("progress", .integer(min: 0, max: 100)), .required("created_at", .instant),
                .required("expires_at", .nullable(.instant)))))

    static let deletion = Schema.object(.required("deletes_at", .instant), .required("message", .string))
    static let deleted = Schema.object(.required("id", .uuid), .required("message", .string))

    static let erasure = Schema.ref(
        "Erasure",
        .object(
            .required("kind", .string(enum: ["user", "workspace"])), .required("id", .uuid),
            .required("state", .choice(ErasureState.self)), .required("requested_at", .instant),
            .required("asked_at", .instant, "When the programs were last asked."),
            .required("asks", .integer(min: 1)), .required("finished_at", .nullable(.instant)),
            .required("waiting_for", .array(.string), "Programs that have not reported yet."),
            .required("reports", .map(.anyObject), "By program: rows erased, and when.")))
}
