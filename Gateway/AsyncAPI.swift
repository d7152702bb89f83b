import Shared

/// The AsyncAPI 3.0 document: every topic with its events, and `/ws/calls`. Made of the event types and the socket's own
/// enumerations, so it says what the code does.
struct AsyncAPI {
    private var schemas = JSONObject()
    private var messages = JSONObject()
    private var channels = JSONObject()
    private var operations = JSONObject()

    /// - Parameter publicURL: where browsers reach us.
    static func document(publicURL: String) -> JSON {
        var whole = AsyncAPI()
        for family in EventFamilies.all { whole.describe(family) }
        whole.describeSocket()
        return [
            "asyncapi": "3.0.0",
            "info": [
                "title": "Switchboard",
                "version": "1.0.0",
                "description": .string(about),
                "license": ["name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"],
            ],
            "defaultContentType": "application/json",
            "servers": servers(publicURL),
            "channels": .object(whole.channels),
            "operations": .object(whole.operations),
            "components": ["messages": .object(whole.messages), "schemas": .object(whole.schemas)],
        ]
    }

    private static let about = """
        What happens, as it happens. Inside, the programs tell each other on Kafka topics: CloudEvents 1.0 in binary mode, \
        at least once, in order per key. Outside, browsers follow calls on the WebSocket /ws/calls. The HTTP API is \
        described by /api/schema/.
        """

    private static let aboutSocket = """
        Calls as they happen (document 003 §2). After a reconnect subscribe with `after`, the last id you saw: what you \
        missed comes first, then what happens, each frame once. (`resume` after subscribing sends what was missed and did \
        not come live in between; drop what came live with an id you know from another gateway.) `resync` says that too \
        much was missed. What is not understood is answered by an `error`, and the socket stays. It is closed with 4401 \
        when the token expires or its session ends, with 1013 when you read too slowly, with 1009 after a message above \
        64 KiB, and with 1001 when the gateway restarts: come back.
        """

    private static func servers(_ publicURL: String) -> JSON {
        let isSecure = publicURL.hasPrefix("https:")
        var host = publicURL
        if let end = publicURL.firstRange(of: "://")?.upperBound {
            host = String(publicURL[end...].prefix { $0 != "/" })
        }
        return [
            "gateway": [
                "host": .string(host), "protocol": .string(isSecure ? "wss" : "ws"),
                "description": "The gateway, for browsers.",
            ],
            "kafka": [
                "host": "{brokers}", "protocol": "kafka", "description": "Inside only (KAFKA_BROKERS).",
                "variables": ["brokers": ["default": "localhost:9092"]],
            ],
        ]
    }

    // MARK: Topics

    private mutating func describe(_ family: any Event.Type) {
        let topic = family.topic
        var listed = JSONObject()
        for (type, schema) in zip(family.types, family.schemas) {
            listed[type] = reference("messages", type)
            messages[type] = event(type, schema)
        }
        var binding: JSONObject = [
            "topic": .string(topic.rawValue), "partitions": .int(topic.partitions), "bindingVersion": "0.5.0",
        ]
        if topic.compacted { binding["topicConfiguration"] = ["cleanup.policy": ["compact"]] }
        channels[topic.rawValue] = [
            "address": .string(topic.rawValue),
            "description": .string("Told by \(topic.owner)."),
            "servers": [["$ref": "#/servers/kafka"]],
            "messages": .object(listed),
            "bindings": ["kafka": .object(binding)],
        ]
        operate("publish.\(topic.rawValue)", "send", on: topic.rawValue, "What \(topic.owner) tells.", family.types)
    }

    private mutating func event(_ type: String, _ schema: Schema) -> JSON {
        schema.collect(into: &schemas)
        return [
            "name": .string(type),
            "title": .string(type),
            "contentType": "application/json",
            "headers": Self.headers(type),
            "payload": schema.json,
            "bindings": ["kafka": ["key": ["type": "string"], "bindingVersion": "0.5.0"]],
        ]
    }

    /// CloudEvents 1.0, Kafka protocol binding, binary mode.
    private static func headers(_ type: String) -> JSON {
        [
            "type": "object",
            "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time"],
            "properties": [
                "ce_specversion": ["const": "1.0"], "ce_id": ["type": "string", "format": "uuid"],
                "ce_type": ["const": .string(type)], "ce_source": ["type": "string"],
                "ce_time": ["type": "string", "format": "date-time"], "traceparent": ["type": "string"],
            ],
        ]
    }

    // MARK: The socket

    private static let socket = "ws.calls"

    private mutating func describeSocket() {
        var listed = JSONObject()
        let (frames, answers, requests) = (
            FrameName.allCases.map(\.rawValue), SocketAnswer.allCases.map(\.rawValue),
            SocketRequest.allCases.map(\.rawValue)
        )
        for frame in FrameName.allCases {
            say(
                frame.rawValue, frame.schema,
                [
                    .required("id", .string, "Opaque; resume after it."),
                    .required("at", .instant, "When it happened."),
                ], &listed)
        }
        for answer in SocketAnswer.allCases { say(answer.rawValue, answer.schema, [], &listed) }
        for request in SocketRequest.allCases { say(request.rawValue, request.schema, [], &listed) }
        channels[Self.socket] = [
            "address": "/ws/calls",
            "description": .string(Self.aboutSocket),
            "servers": [["$ref": "#/servers/gateway"]],
            "messages": .object(listed),
            "bindings": [
                "ws": [
                    "method": "GET", "bindingVersion": "0.1.0",
                    "query": [
                        "type": "object",
                        "properties": [
                            "ticket": [
                                "type": "string", "description": "From POST /api/v1/ws/ticket; good once, for 30 s.",
                            ],
                            "token": [
                                "type": "string",
                                "description":
                                    "An access token. `Sec-WebSocket-Protocol: bearer, <token>` keeps it out of logs.",
                            ],
                        ],
                    ],
                ]
            ],
        ]
        operate(
            "socket.frames", "send", on: Self.socket, "Frames of the calls one follows, and answers.", frames + answers)
        operate("socket.requests", "receive", on: Self.socket, "What a browser may say.", requests)
    }

    private mutating func say(_ event: String, _ data: Schema, _ more: [Field], _ listed: inout JSONObject) {
        data.collect(into: &schemas)
        let whole = Schema.object([.required("event", .string(enum: [event])), .required("data", data)] + more)
        let id = Self.socket + "." + event
        messages[id] = ["name": .string(event), "title": .string(event), "payload": whole.json]
        listed[event] = reference("messages", id)
    }

    // MARK: Pieces

    private func reference(_ kind: String, _ name: String) -> JSON { ["$ref": .string("#/components/\(kind)/\(name)")] }

    private mutating func operate(
        _ name: String, _ action: String, on channel: String, _ summary: String, _ events: [String]
    ) {
        operations[name] = [
            "action": .string(action),
            "channel": ["$ref": .string("#/channels/\(channel)")],
            "summary": .string(summary),
            "messages": .array(events.map { ["$ref": .string("#/channels/\(channel)/messages/\($0)")] }),
        ]
    }
}

extension Topic {
    /// The program that tells.
    fileprivate var owner: String {
        let name = String(rawValue.prefix { $0 != "." })
        return name == "qa" ? "qa-analytics" : name
    }
}
