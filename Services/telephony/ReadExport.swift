import HTTP
import Postgres
import Program
import Shared

/// What a person may take along of telephony: everything of their workspaces, and what they did as a human agent in others.
enum ReadExport {
    private static let pageSize = ExportSection.pageSize
    /// Calls whose transcripts are on one page.
    private static let transcriptsOnPage = 20

    static func sections(_ database: Database) -> [ExportSection] {
        [
            ExportSection("agents") { person, after in
                try await listed(after) { page in
                    try await AgentStore.list(
                        AgentFilter(tenancy: .only(person.workspaces)), page, in: database
                    ).agents
                }
            },
            ExportSection("phone_numbers") { person, after in
                try await listed(after) { page in
                    try await LineStore.list(LineFilter(tenancy: .only(person.workspaces)), page, in: database).lines
                }
            },
            ExportSection("human_agents") { person, _ in
                .init(
                    items: try await humans(of: person, database).map { agent in
                        written { agent.snapshot.writeAgent(to: &$0) }
                    })
            },
            ExportSection("calls") { person, after in
                let listed = try await calls(of: person, after, limit: pageSize, database)
                return .init(
                    items: listed.calls.map { call in written { call.snapshot.writeCall(to: &$0) } }, next: listed.next)
            },
            ExportSection("transcripts") { person, after in
                let listed = try await calls(of: person, after, limit: transcriptsOnPage, database)
                return .init(items: try await transcripts(of: listed.calls, database), next: listed.next)
            },
            ExportSection("notes") { person, after in try await notes(of: person, after, database) },
            ExportSection("escalations") { person, after in try await escalations(of: person, after, database) },
            ExportSection("callbacks") { person, after in try await callbacks(of: person, after, database) },
            ExportSection("do_not_call") { person, after in try await doNotCall(of: person, after, database) },
        ]
    }

    // MARK: Lists that are never long

    /// Pages by number: nobody has thousands of agents or numbers.
    private static func listed<Item: JSONWritable>(
        _ after: Cursor?, _ read: (Page) async throws -> [Item]
    ) async throws -> ExportSection.Page {
        let number = after?.values.first?.int ?? 1
        let found = try await read(Page(number: number, size: pageSize))
        return .init(found, next: found.count < pageSize ? nil : Cursor([.int(number + 1)]))
    }

    private static func written(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
        var json = JSONWriter()
        write(&json)
        return json.bytes
    }

    // MARK: Long ones

    private static func calls(
        of person: ExportSection.Person, _ after: Cursor?, limit: Int, _ database: Database
    ) async throws -> ReadCalls.Listed {
        try await ReadCalls.page(
            CallFilter(tenancy: .only(person.workspaces)), Page(size: limit, cursor: after), in: database)
    }

    /// `{call_id, interactions}` for each call that has any.
    private static func transcripts(of calls: [Call], _ database: Database) async throws -> [[UInt8]] {
        let rows = try await database.query(
            """
            SELECT \(fragment: TranscriptStore.columns) FROM interactions i
            WHERE i.call_id = ANY (\(calls.map(\.id))) ORDER BY i.call_id, i.sequence
            """)
        var byCall: [CallID: [ReadCalls.Line]] = [:]
        for row in rows {
            let line = ReadCalls.Line(interaction: try InteractionSnapshot(row), sentiment: try row["sentiment_score"])
            byCall[line.interaction.callID, default: []].append(line)
        }
        return calls.compactMap { call in
            byCall[call.id].map { lines in
                written { json in
                    json.object { json in
                        json.field("call_id", call.id)
                        json.fieldArray("interactions") { json in
                            for line in lines {
                                line.interaction.writeInteraction(to: &json, sentiment: line.sentiment)
                            }
                        }
                    }
                }
            }
        }
    }

    private static func humans(of person: ExportSection.Person, _ database: Database) async throws -> [HumanAgent] {
        try await database.query(
            """
            SELECT \(fragment: HumanAgentStore.columns) FROM human_agents h
            WHERE h.workspace_id = ANY (\(person.workspaces)) OR h.user_id = \(person.user)
            ORDER BY h.id LIMIT 10000
            """
        ).map(HumanAgent.init)
    }

    /// On calls of their workspaces, and their own on calls of others.
    private static func notes(
        of person: ExportSection.Person, _ after: Cursor?, _ database: Database
    ) async throws -> ExportSection.Page {
        let last = after?.values.first?.int64 ?? 0
        let notes = try await database.query(
            """
            SELECT n.id, n.call_id, n.author_id, n.note, n.tags, n.category, n.created_at
            FROM notes n JOIN calls c ON c.id = n.call_id
            WHERE (c.workspace_id = ANY (\(person.workspaces)) OR n.author_id = \(person.user)) AND n.id > \(last)
            ORDER BY n.id LIMIT \(pageSize)
            """
        ).map(Note.init)
        return .init(notes, next: notes.count < pageSize ? nil : notes.last.map { Cursor([.int($0.id)]) })
    }

    private static func escalations(
        of person: ExportSection.Person, _ after: Cursor?, _ database: Database
    ) async throws -> ExportSection.Page {
        let last = after?.values.first?.int64 ?? 0
        let found = try await database.query(
            """
            SELECT \(fragment: EscalationStore.columns) FROM escalations e
            WHERE e.workspace_id = ANY (\(person.workspaces)) AND e.id > \(last) ORDER BY e.id LIMIT \(pageSize)
            """
        ).map(Escalation.init)
        return .init(
            found.map(\.snapshot), next: found.count < pageSize ? nil : found.last.map { Cursor([.int($0.id)]) })
    }

    private static func callbacks(
        of person: ExportSection.Person, _ after: Cursor?, _ database: Database
    ) async throws -> ExportSection.Page {
        let rows = try await database.query(
            """
            SELECT id, workspace_id, call_id, kind, phone_number, name, due_at, note, status, created_at FROM callbacks
            WHERE workspace_id = ANY (\(person.workspaces)) AND id > \(place(after)) ORDER BY id LIMIT \(pageSize)
            """)
        let items = try rows.map { row in
            let fields = (
                id: try row.decode("id", as: CallbackID.self),
                workspace: try row.decode("workspace_id", as: WorkspaceID.self),
                call: try row.decode("call_id", as: CallID?.self), due: try row.decode("due_at", as: Instant.self),
                created: try row.decode("created_at", as: Instant.self)
            )
            let texts = try ["kind", "phone_number", "status", "name", "note"].map {
                (name: $0, text: try row.decode($0, as: String?.self))
            }
            return written { json in
                json.object { json in
                    json.field("id", fields.id)
                    json.field("workspace", fields.workspace)
                    json.field("call_id", ifPresent: fields.call)
                    for (name, text) in texts { json.field(name, ifPresent: text) }
                    json.field("due_at", fields.due)
                    json.field("created_at", fields.created)
                }
            }
        }
        let last = try rows.last.map { try $0.decode("id", as: CallbackID.self) }
        return .init(items: items, next: items.count < pageSize ? nil : last.map { Cursor([.string($0.text)]) })
    }

    private static func place(_ after: Cursor?) -> CallbackID {
        after?.values.first?.string.flatMap { CallbackID($0) } ?? CallbackID(high: 0, low: 0)
    }

    private static func doNotCall(
        of person: ExportSection.Person, _ after: Cursor?, _ database: Database
    ) async throws -> ExportSection.Page {
        let workspace = after?.values.first?.string.flatMap { WorkspaceID($0) } ?? WorkspaceID(high: 0, low: 0)
        let number = after?[text: 1] ?? ""
        let rows = try await database.query(
            """
            SELECT workspace_id, phone_number, reason, created_at FROM do_not_call
            WHERE workspace_id = ANY (\(person.workspaces)) AND (workspace_id, phone_number) > (\(workspace), \(number))
            ORDER BY workspace_id, phone_number LIMIT \(pageSize)
            """)
        var last: Cursor?
        let items = try rows.map { row in
            let (workspace, number): (WorkspaceID, String) = (try row["workspace_id"], try row["phone_number"])
            let (reason, created): (String?, Instant) = (try row["reason"], try row["created_at"])
            last = Cursor([.string(workspace.text), .string(number)])
            return written { json in
                json.object { json in
                    json.field("workspace", workspace)
                    json.field("phone_number", number)
                    json.field("reason", ifPresent: reason)
                    json.field("created_at", created)
                }
            }
        }
        return .init(items: items, next: items.count < pageSize ? nil : last)
    }
}

extension Cursor {
    fileprivate subscript(text place: Int) -> String? { values.indices.contains(place) ? values[place].string : nil }
}
