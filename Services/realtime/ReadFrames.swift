import HTTP
import Postgres
import Shared

/// What a gateway asks when a browser comes back: the frames since the last one it saw.
struct ReadFrames: Sendable {
    let database: Database

    /// More than this at once is a reload, not a resumption.
    private static let framesMax = 2_000

    var route: Route {
        .get(
            "/internal/frames", "Frames after an id, oldest first", access: .internal,
            query: [
                .query("after", .integer(min: 0), "The last frame the browser saw."),
                .query("workspaces", .string, "Ids separated by commas; left out: all."),
            ],
            returns: .ok(
                .object(
                    .required("complete", .boolean, "False: some in between are gone, the browser must load anew."),
                    .required("last", .integer, "The newest id there is."),
                    .required("frames", .array(.anyObject))))
        ) { try await read($0) }
    }

    func read(_ request: Request) async throws -> Response {
        var form = request.queryForm
        let after = form.int("after", in: 0...Int.max)
        let workspaces = form.strings("workspaces", max: 10_000)
        try form.finish()
        let tenancy: Tenancy = workspaces.map { .only($0.compactMap { WorkspaceID($0) }) } ?? .all
        let found = try await FrameStore.after(Int64(after), tenancy, limit: Self.framesMax + 1, database)
        let complete = found.complete && found.frames.count <= Self.framesMax
        return .json { json in
            json.object { json in
                json.field("complete", complete)
                json.field("last", found.last)
                json.fieldArray("frames") { json in
                    if complete { for frame in found.frames { json.value(frame) } }
                }
            }
        }
    }
}
