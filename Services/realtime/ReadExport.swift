import HTTP
import Postgres
import Program
import Shared

/// What a person may take along of realtime. Frames are only the echo of what the other programs export.
enum ReadExport {
    static func sections(_ database: Database) -> [ExportSection] { [] }
}
