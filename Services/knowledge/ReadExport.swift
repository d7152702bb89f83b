import HTTP
import Postgres
import Program
import Shared

/// What a person may take along of knowledge: the entries and configurations of their workspaces.
enum ReadExport {
    /// Entries may be long.
    private static let pageSize = 20

    static func sections(_ database: Database) -> [ExportSection] {
        [
            ExportSection("knowledge") { person, after in
                let last = after?.values.first?.int64 ?? 0
                let found = try await EntryStore.following(last, person.workspaces, limit: pageSize, database)
                return .init(
                    found, next: found.count < pageSize ? nil : found.last.map { Cursor([.int($0.about.id)]) })
            },
            ExportSection("configs") { person, _ in
                let configs = try await ConfigStore.list(.only(person.workspaces), isActive: nil, database)
                return .init(
                    items: configs.map { config in
                        var json = JSONWriter()
                        config.writeConfig(to: &json)
                        return json.bytes
                    })
            },
        ]
    }
}
