import HTTP
import Postgres
import Shared

/// An archive of what the programs hold of somebody, or the making of one.
struct ExportJob: Sendable, JSONWritable {
    enum State: String, CaseIterable, Sendable, PostgresValue { case waiting, running, ready, failed }

    var id: JobID
    var state: State
    /// 0…100.
    var progress: Int
    var size: Int?
    var createdAt: Instant
    var expiresAt: Instant?

    func write(to json: inout JSONWriter) {
        json.object { json in
            json.field("id", id)
            json.field("state", state.rawValue)
            json.field("progress", progress)
            json.field("created_at", createdAt)
            json.field("expires_at", expiresAt)
        }
    }
}

extension Personal {
    /// A new archive at most this often, unless the last one failed.
    private static let exportEvery: Duration = .seconds(86_400)

    /// `GET /api/dashboard/user/export-data/`: 202 with the job while the archive is being made, 200 with the archive when it
    /// is there. The first request starts it; `fresh=true` asks for a newer one than there is.
    func exportData(_ request: Request) async throws -> Response {
        let user = try request.requireThemselves().user
        var form = request.queryForm
        let isFresh = form.optionalBool("fresh", default: false)
        try form.finish()
        if let latest = try await ExportStore.latest(of: user, database), latest.state != .failed {
            switch latest.state {
            case .waiting, .running: return Self.accepted(latest)
            case .ready where !isFresh: return archive(latest)
            default:
                let next = latest.createdAt + Self.exportEvery
                let now = Instant.now()
                guard next <= now else {
                    throw Problem(
                        .rateLimited, "There is an archive of less than a day ago; leave out `fresh` to fetch it.",
                        headers: [("Retry-After", "\(max(1, next.seconds - now.seconds))")])
                }
            }
        }
        let job = try await ExportStore.begin(user, database)
        return Self.accepted(job)
    }

    private static func accepted(_ job: ExportJob) -> Response {
        var response = Response.json(202) { json in json.object { $0.field("job", job) } }
        response.headers.set("Retry-After", "2")
        return response
    }

    /// The chunks one after the other, as the reader takes them.
    private func archive(_ job: ExportJob) -> Response {
        let database = database
        var response = Response.stream(type: "application/zip", length: job.size) { writer in
            var position = 0
            while let chunk = try await ExportStore.chunk(position, of: job.id, database) {
                try await writer.write(chunk)
                position += 1
            }
        }
        let day = job.createdAt.iso.prefix(10)
        response.headers.set("Content-Disposition", "attachment; filename=\"switchboard-\(day).zip\"")
        return response
    }
}
