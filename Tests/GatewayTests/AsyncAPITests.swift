import HTTP
import Shared
import Testing

@testable import Gateway

@Suite struct AsyncAPITests {
    private let document = AsyncAPI.document(publicURL: "https://calls.example.com")

    private func object(_ path: String...) throws -> JSONObject {
        var here = document
        for name in path { here = try #require(here[name]) }
        return try #require(here.object)
    }

    @Test func `it has what AsyncAPI 3 wants of a document`() throws {
        #expect(document["asyncapi"] == "3.0.0")
        #expect(document["info"]?["title"]?.string != nil && document["info"]?["version"]?.string != nil)
        #expect(document["servers"]?["gateway"]?["host"] == "calls.example.com")
        #expect(document["servers"]?["gateway"]?["protocol"] == "wss")
        for (name, channel) in try object("channels").pairs {
            #expect(channel["address"]?.string != nil, "\(name)")
            #expect(channel["messages"]?.object?.names.isEmpty == false, "\(name)")
        }
        for (name, operation) in try object("operations").pairs {
            #expect(["send", "receive"].contains(operation["action"]?.string), "\(name)")
            // An operation's messages are a subset of its channel's, by reference to them (§ Operation Object).
            let channel = try #require(operation["channel"]?["$ref"]?.string)
            for message in try #require(operation["messages"]?.array) {
                #expect(message["$ref"]?.string?.hasPrefix("\(channel)/messages/") == true, "\(name)")
            }
        }
        for (name, message) in try object("components", "messages").pairs {
            #expect(message["payload"]?.object != nil, "\(name)")
        }
    }

    @Test func `every reference leads somewhere`() throws {
        var broken: [String] = []
        var count = 0
        func look(_ value: JSON) {
            switch value {
            case .object(let object):
                if let reference = object["$ref"]?.string {
                    count += 1
                    var here: JSON? = document
                    for name in reference.split(separator: "/").dropFirst() { here = here?[String(name)] }
                    if here == nil || !reference.hasPrefix("#/") { broken.append(reference) }
                }
                for (_, member) in object.pairs { look(member) }
            case .array(let array): for element in array { look(element) }
            default: break
            }
        }
        look(document)
        #expect(broken == [])
        #expect(count > 100)
    }

    @Test func `every event, frame, request and answer there is stands in it`() throws {
        for family in EventFamilies.all {
            let channel = try object("channels", family.topic.rawValue)
            #expect(channel["messages"]?.object?.names == family.types)
            #expect(channel["bindings"]?["kafka"]?["partitions"]?.int == family.topic.partitions)
        }
        let socket = Set(try object("channels", "ws.calls", "messages").names)
        #expect(socket.isSuperset(of: FrameName.allCases.map(\.rawValue)))
        #expect(socket.isSuperset(of: SocketAnswer.allCases.map(\.rawValue)))
        #expect(socket.isSuperset(of: SocketRequest.allCases.map(\.rawValue)))
        #expect(
            socket.count == FrameName.allCases.count + SocketAnswer.allCases.count + SocketRequest.allCases.count)
    }

    @Test func `no two shapes share a component's name`() throws {
        // The first definition of a name counts, so a second one would be lost without a word.
        let schemas = EventFamilies.all.flatMap { $0.schemas } + FrameName.allCases.map { $0.schema }
        var known = JSONObject()
        for schema in schemas {
            var own = JSONObject()
            schema.collect(into: &own)
            for (name, shape) in own.pairs {
                #expect(known[name] == nil || known[name] == shape, "\(name)")
                known[name] = shape
            }
        }
        #expect(known.names.count > 15)
    }
}
