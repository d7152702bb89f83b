/// A statement that travels with whatever the surrounding task commits: it takes effect with it, or not at all.
///
/// It cannot make anybody wait for another round trip, and it does not make a transaction of one that asked nothing.
public struct Rider: Sendable {
    /// Of the work being done, handed down to whatever it calls.
    @TaskLocal public static var current: Rider?

    private let database: ObjectIdentifier
    let query: Query

    /// - Parameter query: may be carried by several commits, so it must be one that does no harm the second time.
    ///   `pg_current_xact_id_if_assigned()` tells it whether anything was written before it.
    public init(with database: Database, _ query: Query) {
        self.database = ObjectIdentifier(database)
        self.query = query
    }

    /// The current one, if it is meant for this database.
    static func on(_ database: Database) -> Query? {
        guard let current, current.database == ObjectIdentifier(database) else { return nil }
        return current.query
    }
}
