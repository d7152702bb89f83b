import HTTP
import Messaging
import Postgres
import Shared

/// What somebody has chosen, and how often they have changed it.
struct ChosenSettings: Sendable {
    var version: Int64
    /// Only what differs from the defaults.
    var changes: JSON

    var etag: ETag { .strong("\(version)") }

    var response: Response {
        var response = Response.json(200, SettingsDocument.root.document(changes))
        response.headers.set("ETag", etag.text)
        return response
    }
}

extension Personal {
    /// `GET /api/dashboard/user/settings/`
    func readSettings(_ request: Request) async throws -> Response {
        try await SettingsStore.find(request.requirePrincipal().user, database).response
    }

    /// `PUT` and `PATCH`: what is there changes, however deep it lies; a null brings back the default; the rest stays. With
    /// `If-Match` only if nobody has changed anything since.
    func changeSettings(_ request: Request) async throws -> Response {
        let user = try request.requirePrincipal().user
        let patch = try await request.json()
        guard patch.object != nil else { throw Problem(.validationError, "The body must be a JSON object.") }
        let expected = request.headers["If-Match"]
        let settings = try await database.transaction { (tx: borrowing Transaction) -> ChosenSettings in
            let before = try await SettingsStore.lock(user, tx)
            if let expected, !before.etag.isMatched(by: expected) {
                throw Problem(
                    .preconditionFailed, "The settings were changed meanwhile; read them again and repeat the change.")
            }
            var complaints: [(name: String, message: String)] = []
            let changes = SettingsDocument.root.merged(
                patch, over: before.changes, path: "", complaints: &complaints)
            guard complaints.isEmpty else { throw Problem.validation(complaints) }
            try await Self.checkZones(in: patch, tx)
            return try await SettingsStore.save(changes ?? [:], of: user, tx)
        }
        return settings.response
    }

    private static func checkZones(in patch: JSON, _ tx: borrowing Transaction) async throws {
        var complaints: [(name: String, message: String)] = []
        for (path, zone) in SettingsDocument.root.zones(in: patch)
        where try await !SettingsStore.knowsZone(zone, tx) {
            complaints.append((path, "must be a time zone such as Europe/Zurich"))
        }
        guard complaints.isEmpty else { throw Problem.validation(complaints) }
    }
}
