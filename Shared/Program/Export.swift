import HTTP
import Messaging
import Shared

/// One kind of thing a person may take along: a page at a time, in an order that does not change.
public struct ExportSection: Sendable {
    /// Whose things.
    public struct Person: Sendable {
        public let user: UserID
        /// The workspaces that are theirs.
        public let workspaces: [WorkspaceID]

        public init(user: UserID, workspaces: [WorkspaceID]) {
            self.user = user
            self.workspaces = workspaces
        }
    }

    public struct Page: Sendable {
        /// JSON texts, named as in the API.
        public var items: [[UInt8]]
        /// Where the next page begins; nil after the last.
        public var next: Cursor?

        public init(items: [[UInt8]], next: Cursor? = nil) {
            self.items = items
            self.next = next
        }

        public init(_ items: [some JSONWritable], next: Cursor? = nil) {
            self.init(items: items.map(\.jsonBytes), next: next)
        }
    }

    public typealias Read = @Sendable (Person, Cursor?) async throws -> Page

    public let name: String
    let read: Read

    /// A page, read in this program.
    public func readPage(_ person: Person, _ after: Cursor?) async throws -> Page { try await read(person, after) }

    /// Items on a page: enough that asking costs little, few enough to be held in memory.
    public static let pageSize = 200

    public init(_ name: String, read: @escaping Read) {
        self.name = name
        self.read = read
    }
}

/// `/internal/export`: what a program holds of a person, for the archive that auth makes of it.
public enum Export {
    public static let path = "/internal/export"

    public static func routes(_ sections: [ExportSection]) -> [Route] {
        [
            .get(
                path, "What there is to export of a person", tag: "export", access: .internal,
                returns: .ok(.object(.required("sections", .array(.string))))
            ) { _ in
                .json { json in json.object { $0.field("sections", sections.map(\.name)) } }
            },
            .get(
                "\(path)/{section}", "A page of one section", tag: "export", access: .internal,
                query: [
                    .query("user", .uuid, required: true), .query("workspaces", .string, "Ids, separated by commas."),
                    .query("after", .string, "Where the page before ended."),
                ],
                returns: .ok(
                    .object(.required("items", .array(.anyObject)), .required("next", .nullable(.string)))),
                deadline: .seconds(30)
            ) { request in
                guard let section = sections.first(where: { $0.name == request.parameter("section") }) else {
                    throw Problem.notFound()
                }
                return try await page(section, request)
            },
        ]
    }

    private static func page(_ section: ExportSection, _ request: Request) async throws -> Response {
        var form = request.queryForm
        let user = form.id("user", as: UserID.self)
        let workspaces = form.strings("workspaces", max: 10_000) ?? []
        let after = form.optionalString("after", max: 1024)
        try form.finish()
        let place = after.flatMap { Cursor($0) }
        if after != nil, place == nil { throw Problem.validation("after", "is no place in this list") }
        let page = try await section.read(
            .init(user: user, workspaces: workspaces.compactMap { WorkspaceID($0) }), place)
        return .json { json in
            json.object { json in
                json.fieldArray("items") { json in for item in page.items { json.raw(item) } }
                json.field("next", page.next?.text)
            }
        }
    }
}

extension Program {
    /// Takes away what is to be erased of what this program keeps.
    public func erasing(_ steps: [ErasureStep]) -> Erasing {
        Erasing(program: name, database: database, steps: steps, log: log)
    }
}
