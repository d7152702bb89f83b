import Glibc
import Shared
import TestSupport
import Testing

/// One recorded sample of every event type. The files are history: a program that cannot read them any more could not
/// read what lies in a topic or an outbox. They are added to, never changed.
@Suite struct `Recorded events` {
    static let families = EventFamilies.all

    static let types = families.flatMap { family in family.types.map { $0 } }

    private func family(of type: String) throws -> any Event.Type {
        try #require(Self.families.first { $0.types.contains(type) })
    }

    @Test(arguments: Self.types)
    func `a sample of every type decodes and is written the same`(_ type: String) throws {
        let sample = try JSON.parse(try Samples.bytes(type))
        let event = try family(of: type).init(type: type, json: sample)
        #expect(event.type == type)
        #expect(try JSON.parse(event.jsonBytes) == sample)
        let ids = ["call_id", "id", "workspace_id"].compactMap {
            sample[$0].flatMap { $0.string ?? $0.int.map(String.init) }
        }
        #expect(ids.contains { event.key.hasSuffix($0) }, "the key \(event.key) is none of the sample's ids")
    }

    @Test(arguments: Self.types)
    func `members nobody knows yet are ignored`(_ type: String) throws {
        var sample = try #require(try JSON.parse(try Samples.bytes(type)).object)
        let plain = try family(of: type).init(type: type, json: .object(sample))
        sample["added_in_2031"] = ["anything": [1, 2]]
        let event = try family(of: type).init(type: type, json: .object(sample))
        #expect(event.jsonText == plain.jsonText)
    }

    @Test(arguments: Self.types)
    func `a member that is missing or damaged is reported, never a crash`(_ type: String) throws {
        let sample = try #require(try JSON.parse(try Samples.bytes(type)).object)
        let family = try family(of: type)
        var refused = 0
        for name in sample.names {
            for damage in [nil, .null, [["x"]], "", -1, ["a": 1]] as [JSON?] where damage != sample[name] {
                var broken = sample
                broken[name] = damage
                do {
                    _ = try family.init(type: type, json: .object(broken))
                } catch is EventError {
                    refused += 1
                }
            }
        }
        #expect(refused > 0)
        #expect(throws: EventError.self) { try family.init(type: type, json: "text") }
    }

    @Test(arguments: Self.types)
    func `a type of another version is refused`(_ type: String) throws {
        let sample = try JSON.parse(try Samples.bytes(type))
        #expect(throws: EventError.unknownType(type + "x")) {
            try family(of: type).init(type: type + "x", json: sample)
        }
    }

    @Test(arguments: Self.types)
    func `a sample is just what its type's schema says`(_ type: String) throws {
        let family = try family(of: type)
        try #require(family.schemas.count == family.types.count)
        let place = try #require(family.types.firstIndex(of: type))
        let sample = try JSON.parse(try Samples.bytes(type))
        #expect(SchemaCheck(family.schemas[place]).objections(to: sample) == [])
        // And a schema that said something else would be noticed.
        var broken = try #require(sample.object)
        broken["added_in_2031"] = 1
        #expect(SchemaCheck(family.schemas[place]).objections(to: .object(broken)) != [])
    }

    @Test func `no schema names a member that is never written`() throws {
        var named: [String: Set<String>] = [:]
        var written: [String: Set<String>] = [:]
        for family in Self.families {
            for (type, schema) in zip(family.types, family.schemas) {
                // Types of the same shape share their samples: not every sample has every optional member.
                let shape = schema.json.jsonText
                named[shape] = SchemaCheck(schema).members
                let sample = try JSON.parse(try Samples.bytes(type))
                written[shape, default: []].formUnion(SchemaCheck.members(of: sample))
            }
        }
        for (shape, members) in named {
            #expect(members.subtracting(written[shape] ?? []) == [])
        }
    }

    @Test func `every family of events is in the list`() throws {
        let declared = try Samples.sources().filter { $0.hasSuffix("Event.swift") && $0 != "Event.swift" }
        #expect(declared.count == Self.families.count, "\(declared.sorted())")
    }

    @Test func `every sample belongs to a type, and types are unique and named after their topic`() throws {
        #expect(Set(Self.types).count == Self.types.count)
        #expect(Set(try Samples.names()) == Set(Self.types))
        for family in Self.families {
            for type in family.types {
                #expect(type.hasPrefix(family.topic.rawValue.prefix { $0 != "." } + "."))
                #expect(type.hasSuffix(".v1"))
            }
        }
    }

    @Test func `an error names the path of the member`() throws {
        var sample = try #require(try JSON.parse(try Samples.bytes("telephony.call.interaction_added.v1")).object)
        var said = try #require(sample["interaction"]?.object)
        said["timestamp"] = "yesterday"
        sample["interaction"] = .object(said)
        #expect(throws: EventError.field("interaction.timestamp", expected: "an instant")) {
            try CallEvent(type: "telephony.call.interaction_added.v1", json: .object(sample))
        }
    }

    @Test func `what clients see of a call is document 003's Call and no more`() throws {
        let call = try CallSnapshot(json: try JSON.parse(try Samples.bytes("telephony.call.ended.v1")))
        var json = JSONWriter()
        call.writeCall(to: &json)
        let seen = try #require(try JSON.parse(json.bytes).object)
        #expect(
            Set(seen.names) == [
                "id", "twilio_call_sid", "direction", "status", "from_number", "to_number", "business_id",
                "template_id", "started_at", "ended_at", "duration_seconds", "created_at", "updated_at", "metadata",
                "qa_score", "sentiment", "escalation_status", "assigned_agent", "outcome", "failure_reason",
            ])
    }

    @Test func `a cancelled escalation is no escalation status`() throws {
        var call = try CallSnapshot(json: try JSON.parse(try Samples.bytes("telephony.call.ended.v1")))
        call.escalationStatus = .cancelled
        #expect(try JSON.parse(call.jsonBytes)["escalation_status"] == nil)
    }

    @Test func `an utterance shows its sentiment when it is known`() throws {
        let event = try JSON.parse(try Samples.bytes("telephony.call.interaction_added.v1"))
        let said = try InteractionSnapshot(json: try #require(event["interaction"]))
        var json = JSONWriter()
        said.writeInteraction(to: &json, sentiment: 0.05)
        let seen = try JSON.parse(json.bytes)
        #expect(seen["sentiment"] == ["score": 0.05, "label": "positive"])
        #expect(seen["sequence"] == nil)
    }

    @Test(
        arguments: [(0.05, .positive), (0.049, .neutral), (0, .neutral), (-0.049, .neutral), (-0.05, .negative)]
            as [(Double, SentimentLabel)])
    func `labels change at a twentieth`(_ score: Double, _ label: SentimentLabel) {
        #expect(SentimentLabel(score: score) == label)
    }

    @Test(arguments: [FrameSnapshot.Audience.workspace, .managers, .user(UserID())])
    func `a frame keeps its audience`(_ audience: FrameSnapshot.Audience) throws {
        let frame = FrameSnapshot(
            id: 1, workspaceID: WorkspaceID(), event: "call.ended", at: Instant(seconds: 5), data: #"{"a":[1]}"#,
            audience: audience)
        let event = try FrameEvent(type: FrameEvent.types[0], json: try JSON.parse(frame.jsonBytes))
        #expect(event.frame == frame)
    }
}

@Suite struct `Topics` {
    @Test func `only state is compacted, and every topic has partitions`() {
        #expect(Topic.allCases.filter(\.compacted) == [.authRevocations, .authBlacklist, .knowledgeConfigs])
        #expect(Topic.allCases.allSatisfy { $0.partitions > 0 })
        #expect(Topic.realtimeFrames.partitions == 1, "a gateway drops frames that come out of order")
        #expect(Topic.telephonyCalls.deadLetters == "telephony.calls.dead")
        #expect(Set(Topic.allCases.map(\.rawValue)).count == 17)
    }
}

/// The files beside this one.
enum Samples {
    struct Unreadable: Error { let path: String }

    static let folder = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex)) + "/samples"

    static func bytes(_ type: String) throws -> [UInt8] {
        let path = "\(folder)/\(type).json"
        guard let file = fopen(path, "r") else { throw Unreadable(path: path) }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes[..<count])
    }

    /// Of the types with a sample.
    static func names() throws -> [String] {
        try files(folder).filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }
    }

    /// Of the files that declare events.
    static func sources() throws -> [String] { try files(folder + "/../../../Shared/Shared/Events") }

    private static func files(_ path: String) throws -> [String] {
        guard let folder = opendir(path) else { throw Unreadable(path: path) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            names.append(name)
        }
        return names
    }
}
