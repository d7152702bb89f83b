import Messaging
import Postgres
import Shared

/// One utterance on its way into the transcript.
struct Utterance: Sendable {
    typealias Identity = ID<Utterance>

    var id = Identity()
    let speaker: Speaker
    var text: String
    /// When it began to be heard.
    let at: Instant
    var metadata: JSONObject = [:]
    /// This is the greeting: the call counts as greeted from now on.
    var greets = false
}

/// The SQL of transcripts: sequence numbers run from 1 without gaps because the call's row counts them, and only the
/// call's newest socket may write.
enum TranscriptStore {
    struct Place: Sendable, Equatable {
        let id: Int64
        let sequence: Int
    }

    enum Written: Sendable, Equatable {
        case stored(Place)
        /// A newer socket serves the call, or the call is gone: this conversation is over.
        case superseded
    }

    /// Appends and publishes.
    /// - Parameter isRepeat: an earlier attempt may have been committed without our knowing.
    static func append(
        _ utterance: Utterance, to call: CallRef, epoch: Int, failures: Int?, isRepeat: Bool,
        _ tx: borrowing Transaction
    ) async throws -> Written {
        if isRepeat, let known = try await find(utterance.id, tx) { return .stored(known) }
        let row = try await tx.queryOne(
            """
            WITH counted AS (
                UPDATE calls SET last_sequence = last_sequence + 1, greeted = greeted OR \(utterance.greets),
                                 failures = coalesce(\(failures), failures)
                WHERE id = \(call.callID) AND relay_epoch = \(epoch) RETURNING last_sequence)
            INSERT INTO interactions (call_id, utterance, sequence, speaker, text, at, metadata)
            SELECT \(call.callID), \(utterance.id), last_sequence, \(utterance.speaker), \(utterance.text), \(utterance.at),
                   \(JSON.object(utterance.metadata)) FROM counted
            RETURNING id, sequence
            """)
        guard let row else { return .superseded }
        let place = Place(id: try row["id"], sequence: try row["sequence"])
        tx.publish(
            CallEvent.interactionAdded(
                call,
                InteractionSnapshot(
                    id: place.id, callID: call.callID, speaker: utterance.speaker, text: utterance.text,
                    timestamp: utterance.at, metadata: utterance.metadata, sequence: place.sequence)))
        return .stored(place)
    }

    /// Shortens a stored speech to what the caller heard of it.
    static func truncate(
        _ id: Int64, of call: CallRef, to heard: String, epoch: Int, _ tx: borrowing Transaction
    ) async throws {
        let interrupted: JSON = ["interrupted": true]
        let row = try await tx.queryOne(
            """
            UPDATE interactions i SET text = \(heard), metadata = i.metadata || \(interrupted)
            FROM calls c
            WHERE i.id = \(id) AND i.call_id = \(call.callID) AND i.speaker = 'ai' AND c.id = i.call_id
              AND c.relay_epoch = \(epoch)
            RETURNING \(fragment: columns)
            """)
        guard let row else { return }
        tx.publish(CallEvent.interactionUpdated(call, try InteractionSnapshot(row)))
    }

    static let columns: Query = """
        i.id, i.call_id, i.sequence, i.speaker, i.text, i.audio_url, i.at, i.metadata, i.sentiment_score
        """

    private static func find(_ id: Utterance.Identity, _ tx: borrowing Transaction) async throws -> Place? {
        let row = try await tx.queryOne("SELECT id, sequence FROM interactions WHERE utterance = \(id)")
        return try row.map { Place(id: try $0["id"], sequence: try $0["sequence"]) }
    }

    /// The last lines of a call, oldest first.
    static func tail(of call: CallID, max: Int, in database: Database) async throws -> [Question.Line] {
        let rows = try await database.query(
            """
            SELECT speaker, text FROM interactions WHERE call_id = \(call) ORDER BY sequence DESC LIMIT \(max)
            """)
        return try rows.reversed().map(line)
    }

    static func tail(of call: CallID, max: Int, _ tx: borrowing Transaction) async throws -> [Question.Line] {
        let rows = try await tx.query(
            "SELECT speaker, text FROM interactions WHERE call_id = \(call) ORDER BY sequence DESC LIMIT \(max)")
        return try rows.reversed().map(line)
    }

    private static func line(_ row: Row) throws -> Question.Line {
        Question.Line(speaker: try row["speaker"], text: try row["text"])
    }
}

extension InteractionSnapshot {
    init(_ row: Row) throws {
        let metadata: JSON = try row["metadata"]
        self.init(
            id: try row["id"], callID: try row["call_id"], speaker: try row["speaker"], text: try row["text"],
            audioURL: try row["audio_url"], timestamp: try row["at"], metadata: metadata.object ?? [:],
            sequence: try row["sequence"])
    }
}
