import CPostgres

/// What a statement answered: its rows, and how many rows it touched.
public struct Rows: RandomAccessCollection, Sendable {
    let table: ResultTable

    public var startIndex: Int { 0 }
    public var endIndex: Int { table.rowCount }
    public subscript(index: Int) -> Row { Row(table: table, index: index) }

    /// Rows inserted, updated, deleted or selected.
    public var affected: Int { table.affected }
}

/// One row. A column is read as the type the context asks for: `let id: CallID = try row["id"]`.
public struct Row: Sendable {
    let table: ResultTable
    let index: Int

    public subscript<Value: PostgresValue>(_ column: String) -> Value {
        get throws(UnreadableColumn) { try decode(column) }
    }

    public subscript<Value: PostgresValue>(_ column: Int) -> Value {
        get throws(UnreadableColumn) { try decode(column) }
    }

    public func decode<Value: PostgresValue>(
        _ column: String, as type: Value.Type = Value.self
    ) throws(UnreadableColumn) -> Value {
        guard let position = table.position(of: column) else {
            throw UnreadableColumn(
                column: column, type: nil, wanted: "\(type)", reason: "the result has no such column")
        }
        return try decode(position)
    }

    public func decode<Value: PostgresValue>(
        _ column: Int, as type: Value.Type = Value.self
    ) throws(UnreadableColumn) -> Value {
        guard column >= 0, column < table.columnCount else {
            throw UnreadableColumn(
                column: "#\(column)", type: nil, wanted: "\(type)",
                reason: "the result has \(table.columnCount) columns")
        }
        let cell = table.cell(row: index, column: column)
        do throws(UnreadableCell) {
            return try Value(postgres: cell)
        } catch {
            throw UnreadableColumn(
                column: table.columnName(column), type: cell.type, wanted: "\(type)", reason: error.reason)
        }
    }

    public var columnNames: [String] { (0..<table.columnCount).map(table.columnName) }
}

/// A column could not be read as the type asked for. A programmer's error or a row older than the code: a stranger
/// is told nothing but that something failed.
public struct UnreadableColumn: Error, Sendable, CustomStringConvertible {
    public let column: String
    /// nil when there is no such column.
    public let type: PostgresType?
    public let wanted: String
    public let reason: String

    public var description: String {
        let type = type.map { " (\($0))" } ?? ""
        return "column \"\(column)\"\(type) cannot be read as \(wanted): \(reason)"
    }
}

/// Owns one libpq result.
///
/// Sendable because a PGresult is never changed after libpq handed it over, and it is cleared by the last owner only.
final class ResultTable: @unchecked Sendable {
    private let result: OpaquePointer
    let rowCount: Int
    let columnCount: Int

    /// Takes the result over.
    init(_ result: OpaquePointer) {
        self.result = result
        rowCount = Int(PQntuples(result))
        columnCount = Int(PQnfields(result))
    }

    deinit { PQclear(result) }

    var affected: Int { PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0 }

    /// `INSERT 0 1`, `COMMIT`, `ROLLBACK` …
    var commandTag: String { PQcmdStatus(result).map { String(cString: $0) } ?? "" }

    func columnName(_ column: Int) -> String {
        PQfname(result, Int32(column)).map { String(cString: $0) } ?? "#\(column)"
    }

    /// The first column of that name, as the server spells it.
    func position(of name: String) -> Int? {
        var name = name
        return name.withUTF8 { wanted in
            (0..<columnCount).first { column in
                guard let actual = PQfname(result, Int32(column)) else { return false }
                return matches(actual, wanted)
            }
        }
    }

    private func matches(_ actual: UnsafePointer<CChar>, _ wanted: UnsafeBufferPointer<UInt8>) -> Bool {
        for (index, byte) in wanted.enumerated() where UInt8(bitPattern: actual[index]) != byte || byte == 0 {
            return false
        }
        return actual[wanted.count] == 0
    }

    func cell(row: Int, column: Int) -> Cell {
        let (row, column) = (Int32(row), Int32(column))
        let type = PostgresType(oid: PQftype(result, column))
        guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column) else {
            return Cell(type: type, start: nil, count: 0)
        }
        let count = Int(PQgetlength(result, row, column))
        return value.withMemoryRebound(to: UInt8.self, capacity: count) {
            Cell(type: type, start: UnsafePointer($0), count: count)
        }
    }
}
